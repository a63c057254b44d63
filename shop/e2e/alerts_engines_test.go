package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	framework "github.com/gowarren/warren"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/internal/engines"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	"github.com/gowarren/warren/store"
)

// databaseFails: a table is gone.
func (b *bed) databaseFails() func() {
	m := b.start("damaged", "", keeps(nil))
	return func() {
		ctx := b.t.Context()
		defer b.each(func() {
			for range 3 {
				var n int
				_ = m.db.QueryRow(ctx, `SELECT COUNT(*) FROM things`).Scan(&n)
			}
		})()
		b.hold(fault{[]expected{alarm("DatabaseErrors", "service", "damaged")}, func() (func(), error) {
			_, err := m.db.Exec(ctx, `DROP TABLE things`)
			return func() {
				if _, err := m.db.Exec(ctx, `CREATE TABLE things (id INTEGER PRIMARY KEY)`); err != nil {
					b.t.Error(err)
				}
			}, err
		}})
	}
}

// databaseIsBusy: transactions hold the connections for too long.
func (b *bed) databaseIsBusy() func() {
	m := b.start("busy", "", keeps(nil))
	return func() {
		b.hold(fault{[]expected{alarm("DatabasePoolExhausted", "service", "busy")}, func() (func(), error) {
			ctx, stop := context.WithCancel(b.t.Context())
			var work sync.WaitGroup
			for range 4 {
				work.Go(func() {
					for ctx.Err() == nil {
						_ = m.db.InTx(ctx, func(ctx context.Context, _ *store.Tx) error {
							rest(ctx, 300*time.Millisecond)
							return nil
						})
					}
				})
			}
			return func() { stop(); work.Wait() }, nil
		}})
	}
}

// publish publishes events in one transaction.
func (b *bed) publish(db *store.DB, all ...proto.Message) error {
	return db.InTx(b.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for _, e := range all {
			if err := events.Publish(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// eventsStay: a service's broker is away, and its oldest event has waited for ten
// minutes, as the time in its outbox says.
func (b *bed) eventsStay() func() {
	address := freeAddress(b.t)
	m := b.start("cutoff", "", keeps(nil), "--events", "nats://"+address+"/test")
	return func() {
		b.hold(fault{[]expected{alarm("OutboxStuck", "service", "cutoff")}, func() (func(), error) {
			var err error
			if !b.eventually(func() bool { err = b.publish(m.db, &orderv1.OrderPlaced{OrderId: "o"}); return err == nil }) {
				return nil, err
			}
			_, err = m.db.Exec(b.t.Context(), `UPDATE warren_outbox SET created_at = created_at - ?`, (10 * time.Minute).Microseconds())
			return func() {
				broker, err := engines.StartNATS(b.t.Context(), engines.NATSOptions{
					Dir: filepath.Join(b.data, "nats"), Address: address, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					b.t.Error(err)
					return
				}
				b.t.Cleanup(func() { _ = broker.Close() })
			}, err
		}})
	}
}

// subscriberLags: it takes longer to handle an event than there is between two.
func (b *bed) subscriberLags() func() {
	var slow atomic.Bool
	m := b.start("bank", "", keeps(nil))
	b.start("lagging", "", keeps(func(app *framework.App) error {
		return events.Subscribe(app, func(ctx context.Context, _ *store.Tx, _ *orderv1.OrderPlaced) error {
			if slow.Load() {
				rest(ctx, 100*time.Millisecond)
			}
			return nil
		})
	}))
	return func() {
		group := alarm("ConsumerLagGrows", "messaging_consumer_group_name", "lagging")
		b.hold(fault{[]expected{group}, func() (func(), error) {
			slow.Store(true)
			n := 0
			stop := b.each(func() {
				batch := make([]proto.Message, 10)
				for i := range batch {
					n++
					batch[i] = &orderv1.OrderPlaced{OrderId: strconv.Itoa(n)}
				}
				_ = b.publish(m.db, batch...)
			})
			return func() { stop(); slow.Store(false) }, nil
		}})
	}
}

// handlerFails: an event is tried again and again.
func (b *bed) handlerFails() func() {
	var fails atomic.Bool
	m := b.start("failing", "events.backoff: 100ms, events.backoff_max: 500ms, events.attempts: 10000", keeps(func(app *framework.App) error {
		return events.Subscribe(app, func(context.Context, *store.Tx, *orderv1.OrderConfirmed) error {
			if fails.Load() {
				return errors.New("not now")
			}
			return nil
		})
	}))
	return func() {
		group := alarm("EventsRetried", "messaging_consumer_group_name", "failing")
		b.hold(fault{[]expected{group}, func() (func(), error) {
			fails.Store(true)
			return func() { fails.Store(false) }, b.publish(m.db, &orderv1.OrderConfirmed{OrderId: "o"})
		}})
	}
}

// eventsDie: one event is given up. That it is new is over by itself; that it is
// there is over when somebody settles it.
func (b *bed) eventsDie() func() {
	m := b.start("dying", "", keeps(func(app *framework.App) error {
		return events.Subscribe(app, func(context.Context, *store.Tx, *orderv1.OrderCancelled) error {
			return events.DeadLetter("nobody can handle this")
		})
	}))
	letters := eventsv1.NewLetterServiceClient(b.sys.Client())
	return func() {
		both := []expected{alarm("DeadLettersGrow", "messaging_consumer_group_name", "dying"), alarm("DeadLetters", "messaging_consumer_group_name", "dying")}
		// That there is none must have been seen: nobody knows whether what was there at first is new.
		b.value(`warren_dead_letters{service="dying"}`)
		b.wait(2)
		b.hold(fault{both, func() (func(), error) {
			return func() {
				ctx := rpc.ToService(b.sys.As(b.t.Context(), "root", "operator"), "dying")
				b.must("drop the letter", func() error {
					_, err := letters.Drop(ctx, &eventsv1.DropRequest{Filter: &eventsv1.Filter{}, By: &eventsv1.By{Reason: "a test"}})
					return err
				})
			}, b.publish(m.db, &orderv1.OrderCancelled{OrderId: "o"})
		}})
	}
}

// saga is one with a step that looks at a product, which is tried so often; 0: as the settings say.
func saga(gid, name, sku string, attempts int32) *txnv1.Saga {
	request, _ := proto.Marshal(&catalogv1.GetProductRequest{Sku: sku}) // a message with one field
	return &txnv1.Saga{Gid: gid, Name: name, Steps: []*txnv1.Step{{
		Name: "look", Method: catalogv1.CatalogService_GetProduct_FullMethodName, Request: request, Policy: &txnv1.CallPolicy{Attempts: attempts},
	}}}
}

// transactionsWait: one has waited for a service for ten minutes, as the
// coordinator's database says; one has an answer that nobody can go on from; many
// are turned back; parts of others are prepared and not decided, or lost; and then
// the database is held by somebody else.
func (b *bed) transactionsWait() func() {
	ctx := b.t.Context()
	b.shelf.late.now(away)
	flags := []string{"--data", b.data, "--system-file", b.file("coordinator", "txn.backoff.base: 50ms, txn.backoff.max: 500ms, txn.attempts: 10000, txn.audit: 200ms")}
	first := b.sys.Coordinator(flags...)
	client := txnv1.NewCoordinatorServiceClient(b.sys.Client())
	if _, err := client.Submit(ctx, &txnv1.SubmitRequest{Saga: saga("late", "late", late, 0)}); err != nil {
		b.t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		b.t.Fatal(err)
	}
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(b.data, "coordinator.db"), store.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { db.Close() })
	if n, err := db.Exec(ctx, `UPDATE warren_txn SET created_at = created_at - ?`, (10 * time.Minute).Microseconds()); n != 1 || err != nil {
		b.t.Fatalf("%d transactions are older now, %v", n, err)
	}
	b.sys.Coordinator(flags...).Expect(context.DeadlineExceeded) // it may leave late on a machine that is busy
	p := b.parts(client)
	return func() {
		b.together(func() {
			b.hold(fault{[]expected{alarm("TransactionStuck", "service", "coordinator")}, func() (func(), error) {
				b.scrape("coordinator/2") // it waits since before anybody looked
				return func() { b.shelf.late.now(healthy) }, nil
			}})
		}, func() { b.transactionIsParked(client); p.isLost() }, func() { b.transactionsFail(client) }, p.waits, p.isOrphan)
		b.coordinatorStoreFails(client, db)
	}
}

func (b *bed) transactionIsParked(client txnv1.CoordinatorServiceClient) {
	ctx := b.t.Context()
	b.hold(fault{[]expected{alarm("TransactionsParked", "service", "coordinator")}, func() (func(), error) {
		request, err := proto.Marshal(&txnv1.GetRequest{Gid: "nobody"})
		if err != nil {
			return nil, err
		}
		_, err = client.Submit(ctx, &txnv1.SubmitRequest{Saga: &txnv1.Saga{Gid: "parked", Name: "parked", Steps: []*txnv1.Step{{
			Name: "look", Method: txnv1.CoordinatorService_Get_FullMethodName, Request: request, Pivot: true, Retryable: true,
			Policy: &txnv1.CallPolicy{Attempts: 1},
		}}}})
		return func() { b.skip("parked", "look") }, err
	}})
}

func (b *bed) transactionsFail(client txnv1.CoordinatorServiceClient) {
	b.hold(fault{[]expected{alarm("CompensationRatio", "name", "doomed")}, func() (func(), error) {
		n := 0
		return b.each(func() {
			for range 2 {
				n++
				// One that is not taken on cannot be turned back.
				_, _ = client.Submit(b.t.Context(), &txnv1.SubmitRequest{Saga: saga(fmt.Sprint("doomed-", n), "doomed", refused, 1)})
			}
		}), nil
	}})
}

func (b *bed) coordinatorStoreFails(client txnv1.CoordinatorServiceClient, db *store.DB) {
	b.hold(fault{[]expected{alarm("CoordinatorStoreFails")}, func() (func(), error) {
		ctx, release := context.WithCancel(b.t.Context())
		var work sync.WaitGroup
		holds := make(chan error, 1)
		work.Go(func() {
			holds <- db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE warren_txn SET name = name WHERE gid = 'late'`)
				holds <- err
				<-ctx.Done()
				return ctx.Err()
			})
		})
		if err := <-holds; err != nil {
			release()
			return nil, err
		}
		work.Go(func() { // it has an answer when the database is free again
			_, _ = client.Submit(ctx, &txnv1.SubmitRequest{Saga: saga("unwritten", "late", late, 0)})
		})
		return func() { release(); work.Wait() }, nil
	}})
}

// settingsAreAway: the way from one instance to etcd is cut, and with it the way to
// its settings, its registry and its locks; the others go on. After that somebody
// damages the settings of all.
func (b *bed) settingsAreAway() func() {
	at, err := url.Parse(b.sys.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	way := newWire(b.t, at.Host)
	address := way.address(b.sys.URL())
	m := b.start("remote", "", func(_ context.Context, app *framework.App, _ *member) error { app.Locks(); return nil },
		"--registry", address, "--config", address, "--locks", address)
	return func() {
		of := []string{"instance", "remote/1"}
		all := []expected{alarm("ConfigStale", of...), alarm("RegistryAway", of...), alarm("ConfigRevisionsDiffer"), alarm("LockLost", "service", "remote")}
		b.hold(fault{all, func() (func(), error) {
			if _, err := m.app.Locks().Take(b.t.Context(), "a thing"); err != nil {
				return nil, err
			}
			b.wait(10) // that no lock is lost has been seen
			way.cut(true)
			b.must("publish a setting", func() error { return b.set("rpc.timeout", "2500ms") })
			return func() { way.cut(false) }, nil
		}})
		b.hold(fault{[]expected{alarm("ConfigRefused", "service", "remote", "kind", "document")}, func() (func(), error) {
			return b.damageSettings(at.Host)
		}})
	}
}

// set publishes a setting.
func (b *bed) set(name, value string) error {
	driver, err := node.OpenConfig(b.t.Context(), b.sys.URL())
	if err != nil {
		return err
	}
	defer driver.Close()
	centre, err := config.NewCentre(driver, "local")
	if err != nil {
		return err
	}
	_, err = centre.Set(b.t.Context(), []config.Edit{{Name: name, New: &value}}, "test", "a test")
	return err
}

// damageSettings writes past the centre what no service can read.
func (b *bed) damageSettings(etcd string) (func(), error) {
	const key = "/test/config/local/document"
	ctx := b.t.Context()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd}, Logger: zap.NewNop()})
	if err != nil {
		return nil, err
	}
	good, err := client.Get(ctx, key)
	if err == nil && len(good.Kvs) != 1 {
		err = errors.New("there are no settings to damage")
	}
	if err == nil {
		_, err = client.Put(ctx, key, "not what it was")
	}
	return func() {
		defer client.Close()
		if _, err := client.Put(ctx, key, string(good.Kvs[0].GetValue())); err != nil {
			b.t.Error(err)
		}
	}, err
}

// tracesAreLost: the collector takes nothing.
func (b *bed) tracesAreLost() func() {
	var refuses atomic.Bool
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() {
			http.Error(w, "no room", http.StatusBadRequest)
			return
		}
		c.ServeHTTP(w, r)
	}))
	b.t.Cleanup(server.Close)
	d, from := &haulier{}, b.stranger()
	b.start("blind", "trace.sample: 1", serves(d), "--traces", "otlp+"+server.URL)
	return func() {
		defer b.times(2, func() { _ = b.call(from, "blind") })()
		b.hold(fault{[]expected{alarm("TracesDropped", "service", "blind")}, func() (func(), error) {
			refuses.Store(true)
			return func() { refuses.Store(false) }, nil
		}})
	}
}

// receiverIsAway: who is to be told of alerts does not take them.
func (b *bed) receiverIsAway() func() {
	breaks := func(now bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.broken = now
	}
	return func() {
		b.hold(fault{[]expected{alarm("AlertsNotDelivered", "receiver", "broken")}, func() (func(), error) {
			breaks(true)
			return func() { breaks(false) }, nil
		}})
	}
}

// ruleIsWrong: somebody adds an alert whose series do not go together.
func (b *bed) ruleIsWrong() func() {
	return func() {
		b.hold(fault{[]expected{alarm("RuleFails", "rule_group", "rules;alerts.yaml")}, func() (func(), error) {
			b.alerts("alerts:\n  Twice: {expr: up * on (nothing) up > 1, severity: ticket, summary: this cannot be}\n")
			return func() { b.alerts("") }, nil
		}})
	}
}
