package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	framework "github.com/gowarren/warren"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	"github.com/gowarren/warren/internal/engines"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store/shards"
)

func etcdClient(host string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{host}, Logger: zap.NewNop()})
}

// etcdFills: somebody writes more and more into an etcd with little room. When it is
// deleted again, etcd gives the room back by itself.
func (b *bed) etcdFills() func() {
	const room = 48 << 20
	etcd, err := engines.StartEtcd(b.t.Context(), engines.EtcdOptions{
		Dir: filepath.Join(b.data, "small-etcd"), NoSync: true, Logger: slog.New(slog.DiscardHandler),
		Quota: room, Retention: time.Second, DefragEvery: 500 * time.Millisecond,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := etcd.Close(); err != nil {
			b.t.Error(err)
		}
	})
	// What etcd shows is of the last one that was started in the process.
	shows := promhttp.HandlerFor(prometheus.DefaultGatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	b.target(metricstore.Target{Service: "etcd", Instance: "etcd", Handler: shows})
	return func() {
		ctx := b.t.Context()
		client, err := etcdClient(etcd.Endpoint())
		if err != nil {
			b.t.Error(err)
			return
		}
		defer client.Close()
		b.hold(fault{[]expected{alarm("EtcdAlmostFull", "instance", "etcd")}, func() (func(), error) {
			return func() {
				b.must("delete it again", func() error {
					_, err := client.Delete(ctx, "some/", clientv3.WithPrefix())
					return err
				})
			}, fill(ctx, client, room*83/100)
		}})
	}
}

// fill writes until an etcd is so large, or full.
func fill(ctx context.Context, client *clientv3.Client, size int64) error {
	value := string(make([]byte, 32<<10))
	for n := 0; ; n++ {
		_, err := client.Put(ctx, fmt.Sprint("some/", n), value)
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return nil
		}
		var now *clientv3.StatusResponse
		if err == nil {
			now, err = client.Status(ctx, client.Endpoints()[0])
		}
		if err != nil || now.DbSize >= size {
			return err
		}
	}
}

// registryForgets: all instances are gone from the registry at once, while they run.
// They are registered again by themselves.
func (b *bed) registryForgets() {
	var client *clientv3.Client
	at, err := url.Parse(b.sys.URL())
	if err == nil {
		client, err = etcdClient(at.Host)
	}
	if err != nil {
		b.t.Error(err)
		return
	}
	defer client.Close()
	b.hold(fault{[]expected{alarm("RegistryDoubted")}, func() (func(), error) {
		gone, err := client.Delete(b.t.Context(), "/test/registry/", clientv3.WithPrefix())
		if err == nil && gone.Deleted == 0 {
			err = errors.New("there was nobody in the registry")
		}
		return func() {
			b.must("be registered again", func() error {
				here, err := client.Get(b.t.Context(), "/test/registry/", clientv3.WithPrefix(), clientv3.WithCountOnly())
				if err == nil && here.Count < gone.Deleted {
					err = fmt.Errorf("%d of %d are there again", here.Count, gone.Deleted)
				}
				return err
			})
		}, err
	}})
}

// shardStays: a shard is to be moved to a database that is damaged, and is moved when
// that is made anew.
func (b *bed) shardStays() func() {
	b.start("sharded", "", func(ctx context.Context, app *framework.App, _ *member) error {
		_, err := app.Shards(ctx, shards.Options{Migrations: oneTable, Shards: 2})
		return err
	})
	to := filepath.Join(b.data, "other.db")
	move := func() error {
		ctx := rpc.ToService(b.sys.As(b.t.Context(), "root", "operator"), "sharded")
		stream, err := shardsv1.NewShardServiceClient(b.sys.Client()).Move(ctx, &shardsv1.MoveRequest{
			Shard: 1, Database: "sqlite:" + to, By: &shardsv1.By{Reason: "a test"},
		})
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	return func() {
		b.hold(fault{[]expected{alarm("ShardMoveFailed", "service", "sharded")}, func() (func(), error) {
			if err := os.WriteFile(to, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				return nil, err
			}
			var err error
			if !b.eventually(func() bool { err = move(); return status.Code(err) == codes.FailedPrecondition }) {
				return nil, fmt.Errorf("moved to what is no database: %w", err)
			}
			return func() {
				if err := os.Remove(to); err != nil {
					b.t.Error(err)
				}
				b.must("move the shard", move)
			}, nil
		}})
	}
}

// keepsMetrics are the options of a store of metrics in a folder.
func keepsMetrics(dir string) metricstore.Options {
	return metricstore.Options{Dir: dir, Limits: metricstore.Limits{Reserve: -1}, Logger: slog.New(slog.DiscardHandler)}
}

// keeper opens a further store of metrics, until the test ends.
func (b *bed) keeper(opts metricstore.Options) (*metricstore.Store, error) {
	s, err := metricstore.Open(opts)
	if err == nil {
		b.t.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.t.Error(err)
			}
		})
	}
	return s, err
}

// rulesAreSlow: what a store's rules find is to be written to a disk that takes its
// time, longer than until they are to be evaluated again.
func (b *bed) rulesAreSlow() func() {
	var slow atomic.Bool
	opts := keepsMetrics(filepath.Join(b.data, "slow-metrics"))
	opts.Limits.EvaluationInterval = time.Second
	opts.Free = func() (int64, error) {
		if slow.Load() {
			rest(b.t.Context(), 1500*time.Millisecond)
		}
		return 1 << 40, nil
	}
	s, err := b.keeper(opts)
	if err == nil {
		err = s.SetRules([]metricstore.RuleGroup{{Name: "slow", Rules: []metricstore.Rule{{Record: "slow", Expr: "vector(1)"}}}})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.target(metricstore.Target{Service: "slowly", Instance: "slowly", Handler: s.Handler()})
	return func() {
		b.hold(fault{[]expected{alarm("RulesSlow", "rule_group", "rules;slow")}, func() (func(), error) {
			slow.Store(true)
			return func() { slow.Store(false) }, nil
		}})
	}
}

// storeIsNotCompacted: there is half a block in the folder of a store of metrics, of
// a copy that broke off, say, and what is in memory is not written out until somebody
// removes it.
func (b *bed) storeIsNotCompacted() func() {
	dir := filepath.Join(b.data, "full-metrics")
	s, err := b.keeper(keepsMetrics(dir))
	if err != nil {
		b.t.Fatal(err)
	}
	b.target(metricstore.Target{Service: "uncompacted", Instance: "uncompacted", Handler: s.Handler()})
	return func() {
		b.hold(fault{[]expected{alarm("MetricsNotCompacted", "instance", "uncompacted")}, func() (func(), error) {
			const name = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
			block := filepath.Join(dir, name)
			err := os.Mkdir(block, 0o700)
			if err == nil {
				err = os.WriteFile(filepath.Join(block, "meta.json"), []byte(`{"ulid": "`+name+`", "minTime": 0, "maxTime": 1, "version": 1}`), 0o600)
			}
			if err == nil {
				err = b.hours(s, 6)
			}
			return func() {
				if err := errors.Join(os.RemoveAll(block), b.hours(s, 0)); err != nil {
					b.t.Error(err)
				}
			}, err
		}})
	}
}

// hours writes a sample of now into a store, and those of some hours before.
func (b *bed) hours(s *metricstore.Store, n int) error {
	one := metricstore.Series{Labels: map[string]string{"__name__": "age"}}
	for now := time.Now(); n >= 0; n-- {
		one.Points = append(one.Points, metricstore.Point{Time: now.Add(-time.Duration(n) * time.Hour), Value: float64(n)})
	}
	return s.Append(b.t.Context(), one)
}

// storeIsDamaged: the log of a store of metrics has other bytes than were written, as
// after the end of a machine. It is repaired when the store is opened; that this is
// new is over by itself.
func (b *bed) storeIsDamaged() func() {
	dir := filepath.Join(b.data, "damaged-metrics")
	s, err := metricstore.Open(keepsMetrics(dir))
	if err == nil {
		err = errors.Join(b.hours(s, 0), s.Close())
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return func() {
		b.hold(fault{[]expected{alarm("MetricsCorrupt", "instance", "mended")}, func() (func(), error) {
			if err := damage(filepath.Join(dir, "wal", "00000000")); err != nil {
				return nil, err
			}
			s, err := b.keeper(keepsMetrics(dir))
			if err != nil {
				return nil, err
			}
			b.target(metricstore.Target{Service: "mended", Instance: "mended", Handler: s.Handler()})
			return func() {}, nil
		}})
	}
}

// damage changes a byte of the first record of a log.
func damage(path string) error {
	const within = 10 // its head is shorter
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(text) <= within {
		return fmt.Errorf("%s has %d bytes", path, len(text))
	}
	text[within] ^= 0xff
	return os.WriteFile(path, text, 0o600)
}
