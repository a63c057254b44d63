package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"testing"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
)

// overLine returns the database's URL by way of a line that can be cut.
func overLine(t *testing.T, address string) (*storetest.Line, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	line := storetest.NewLine(t, u.Host)
	u.Host = line.Address()
	return line, u.String()
}

func eachServer(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("postgres", func(t *testing.T) { test(t, storetest.PostgreSQL(t)) })
	t.Run("mysql", func(t *testing.T) { test(t, storetest.MySQL(t)) })
}

// A07 on servers: all connections are cut while transactions run.
func TestA07DatabaseServerAwayAndBack(t *testing.T) {
	eachServer(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		line, through := overLine(t, address)
		line.Connect()
		n := (&world{T: t, address: through, people: w.people}).start(Options{})
		const many = 20
		arrived, goOn := make(chan struct{}, many), make(chan struct{})
		w.people.on("a", func(ctx context.Context, b *txnv1.Branch, _ []byte) ([]byte, error) {
			if b.GetGid() == "during" {
				return nil, nil
			}
			arrived <- struct{}{}
			select {
			case <-goOn:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		for i := range many {
			n.submit(chain(fmt.Sprintf("g%d", i), "a", "b"))
		}
		for range many {
			<-arrived
		}
		line.Cut()
		close(goOn) // their answers cannot be written
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := n.Submit(ctx, &txnv1.SubmitRequest{Saga: chain("during", "a")}); !errors.Is(err, reason(txnv1.Reason_STORE_UNAVAILABLE)) {
			t.Errorf("submit while the database is away: %v", err)
		}
		w.until("the coordinator to notice", n.engine.away.Load)
		line.Connect()
		for i := range many {
			gid := fmt.Sprintf("g%d", i)
			w.until("running sagas to end", func() bool {
				v, err := n.Get(t.Context(), &txnv1.GetRequest{Gid: gid})
				return err == nil && v.GetState() == txnv1.State_STATE_SUCCEEDED
			})
			if got := w.people.calls(gid); !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("%s: called %v; want no answer forgotten", gid, got)
			}
		}
		n.submit(chain("during", "a"))
		n.wants("during", txnv1.State_STATE_SUCCEEDED)
		w.nets("during", 1, "a")
	})
}

// A coordinator that finds its database away when it starts waits for it.
func TestStartWaitsForTheDatabase(t *testing.T) {
	eachServer(t, func(t *testing.T, address string) {
		w := newWorld(t, address)
		line, through := overLine(t, address)
		db := (&world{T: t, address: through}).open("away")
		e, err := New(Options{DB: db, Conn: w.people, Settings: quick(t), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		began := make(chan error, 1)
		go func() { began <- e.Start(t.Context()) }()
		w.until("it to notice", e.away.Load)
		select {
		case err := <-began:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		line.Connect()
		if err := <-began; err != nil {
			t.Fatal(err)
		}
		n := &node{service: &service{engine: e}, w: w}
		defer n.drain()
		n.submit(chain("g", "a"))
		n.wants("g", txnv1.State_STATE_SUCCEEDED)
	})
	t.Run("given up", func(t *testing.T) {
		_, through := overLine(t, storetest.PostgreSQL(t))
		e, err := New(Options{DB: (&world{T: t, address: through}).open("away"), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		began := make(chan error, 1)
		go func() { began <- e.Start(ctx) }()
		cancel()
		if err := <-began; err == nil {
			t.Error("it started without a database")
		}
	})
}
