package etcdregistry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/gowarren/warren/internal/engines/enginestest"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/registry/driver"
	"github.com/gowarren/warren/registry/etcdregistry"
)

func instance(id string) registry.Instance {
	return registry.Instance{ID: id, Service: "catalog", Address: "h:" + id, State: registry.Ready, Contracts: []string{"a.A"}}
}

// A process has one lease, however much it announces, and leaves none behind.
func TestOneLeaseForAProcess(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	d := open(t, etcd.Endpoint())
	for i := range 5 {
		if err := d.Put(t.Context(), instance(strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := leases(t, etcd); n != 1 {
		t.Errorf("%d leases; want one", n)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if n := leases(t, etcd); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

func leases(t *testing.T, etcd *enginestest.Etcd) int {
	t.Helper()
	list, err := dial(t, etcd).Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Leases)
}

// Put goes on under a new lease when etcd has dropped the one it knew.
func TestPutAfterTheLeaseIsGone(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	d := open(t, etcd.Endpoint())
	defer d.Close()
	if err := d.Put(t.Context(), instance("1")); err != nil {
		t.Fatal(err)
	}
	client, lost := dial(t, etcd), d.Lost()
	list, err := client.Leases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Revoke(t.Context(), list.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	err = d.Put(t.Context(), instance("1"))
	<-lost
	if err != nil { // the process did not know yet: now it does
		err = d.Put(t.Context(), instance("1"))
	}
	if err != nil {
		t.Error(err)
	}
}

// A registry that is closed leaves nothing running, whether etcd is there or not.
func TestCloseLeavesNothing(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	proxy := enginestest.StartProxy(t, etcd.Endpoint())
	warm := open(t, proxy.Address()) // etcd starts some of its own when first asked
	if err := errors.Join(warm.Put(t.Context(), instance("0")), warm.Close()); err != nil {
		t.Fatal(err)
	}
	for _, away := range []bool{false, true} {
		before := goleak.IgnoreCurrent()
		r := registry.New(open(t, proxy.Address()), registry.Options{Logger: slog.New(slog.DiscardHandler)})
		a, err := r.Announce(instance("1"))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if away {
			proxy.Swallow()
		}
		closed := make(chan struct{})
		go func() {
			_ = r.Close() // without etcd the lease can't be ended: that is an error
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(20 * time.Second):
			t.Fatal("close waits for etcd")
		}
		proxy.Cut()
		proxy.Heal()
		goleak.VerifyNone(t, before)
	}
}

// The network may fall silent in any moment, also in that between the list and
// the watch that follows it.
func TestSilenceBeforeTheWatch(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	proxy := enginestest.StartProxy(t, etcd.Endpoint())
	d := open(t, proxy.Address())
	defer d.Close()
	ended := make(chan error, 1)
	go func() { ended <- d.Watch(t.Context(), func(driver.Snapshot) { proxy.Swallow() }) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "does not confirm") {
			t.Errorf("error %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a watch that etcd never confirmed goes on for ever")
	}
}

// An entry that nobody can read is left out and named once; the others stay.
func TestUnreadableEntries(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	client := dial(t, etcd)
	put := func(key, value string) {
		t.Helper()
		if _, err := client.Put(t.Context(), "/shop/registry/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	put("catalog/1", `{"address":"h:1","state":"ready","contracts":["a.A"],"of_the_future":{"x":1}}`)
	put("catalog/2", `{"address":`)
	put("catalog/3", `{}`)
	put("catalog", `{"address":"h:1"}`)
	var log bytes.Buffer
	r := registry.New(open(t, etcd.Endpoint()), registry.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := r.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	changes, stop := r.Watch()
	defer stop()
	put("catalog/4", `{"address":"h:4","state":"ready","contracts":["a.A"]}`)
	for len(r.Contract("a.A")) != 2 {
		<-changes
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "\n"); got != 3 {
		t.Errorf("%d lines were logged; want one for each bad entry:\n%s", got, &log)
	}
}

// More instances than one page holds are still one moment.
func TestManyInstances(t *testing.T) {
	etcd := enginestest.StartEtcd(t)
	client := dial(t, etcd)
	const many = 1234
	for from := 0; from < many; from += 100 {
		var ops []clientv3.Op
		for i := from; i < min(from+100, many); i++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("/shop/registry/catalog/%d", i), `{"address":"h:1","state":"ready"}`))
		}
		if _, err := client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, etcd.Endpoint())
	defer d.Close()
	seen := errors.New("seen")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := d.Watch(ctx, func(s driver.Snapshot) {
		if len(s.Instances) != many {
			t.Errorf("%d instances; want %d", len(s.Instances), many)
		}
		cancel(seen)
	})
	if !errors.Is(context.Cause(ctx), seen) {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"etcd://h/shop?ttl=1500ms": "whole number of seconds",
		"etcd://h/shop?lease=5s":   `unknown parameter "lease"; known: ca, cert, dial_timeout`,
		"etcd://u:hunter2@h/a/b":   "name of the system",
		"etcd://u:hunter2@h/a?x=y": "unknown parameter",
		"zk://u:hunter2@h/a":       `no driver for scheme "zk"; linked: etcd`,
	} {
		_, err := openurl.Open(t.Context(), "registry", raw, map[string]openurl.Opener[driver.Driver]{"etcd": etcdregistry.Open})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("open %s: error %v; want %q", raw, err, want)
		}
	}
}

// With a user in the URL the client needs a token before anything else; that
// must not make a start depend on the cluster, nor a password reach the log.
func TestUserAndAwayCluster(t *testing.T) {
	d, err := openurl.Open(t.Context(), "registry", "etcd://u:hunter2@127.0.0.1:1/shop?dial_timeout=100ms",
		map[string]openurl.Opener[driver.Driver]{"etcd": etcdregistry.Open})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := d.Put(ctx, instance("1")); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}
