package etcdconfig

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
)

// A watch that asks for revisions that etcd has compacted reads the document
// again, and goes on from there.
func TestCompactedWatchStartsOver(t *testing.T) {
	e := openEngine(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	publish := func(revision int64, document string) {
		t.Helper()
		if err := e.Publish(ctx, "local", revision-1, []byte(document), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	publish(1, `{"revision":1}`)
	client, err := e.lazy.Get()
	if err != nil {
		t.Fatal(err)
	}
	delivered := make(chan int64)
	w := &watch{etcd: e, environment: "local", modified: -1, deliver: func(d driver.Document) {
		select {
		case delivered <- d.Revision:
		case <-ctx.Done():
		}
	}}
	ended := make(chan error, 1)
	begin := make(chan struct{})
	go func() {
		if err := w.read(ctx); err != nil {
			ended <- err
			return
		}
		<-begin
		ended <- w.run(ctx, client)
	}()
	expect := func(want int64) {
		t.Helper()
		select {
		case got := <-delivered:
			if got != want {
				t.Fatalf("delivered revision %d; want %d", got, want)
			}
		case err := <-ended:
			t.Fatal(err)
		}
	}
	expect(1)
	publish(2, `{"revision":2}`)
	publish(3, `{"revision":3}`)
	now, err := e.load(ctx, "local")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(ctx, now.read); err != nil {
		t.Fatal(err)
	}
	close(begin)
	expect(3)
	publish(4, `{"revision":4}`)
	expect(4)
}

func TestHistoryIsBounded(t *testing.T) {
	e := openEngine(t)
	e.keep = 3
	for revision := int64(1); revision <= 7; revision++ {
		document := []byte{'{', '}'}
		if err := e.Publish(t.Context(), "local", revision-1, document, document); err != nil {
			t.Fatal(err)
		}
	}
	records, err := e.History(t.Context(), "local", 0)
	if err != nil || len(records) != 3 {
		t.Errorf("%d records are kept, %v; want 3", len(records), err)
	}
	if d, err := e.Load(t.Context(), "local"); err != nil || d.Revision != 7 {
		t.Errorf("revision %d, %v; want 7", d.Revision, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for _, raw := range []string{"etcd://a:2379", "etcd://a:2379/shop?histroy=3", "etcd://a:2379/shop?history=0"} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), u); err == nil {
			t.Errorf("Open(%s) has no error", raw)
		}
	}
}

func openEngine(t *testing.T) *etcd {
	t.Helper()
	u, err := openurl.Parse(enginestest.StartEtcd(t).URL("shop"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d.(*etcd)
}
