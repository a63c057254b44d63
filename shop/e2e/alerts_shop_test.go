package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/supervisor"
	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	paymentv1 "github.com/gowarren/warren/shop/api/shop/payment/v1"
	"github.com/gowarren/warren/store"
)

// TestShopIsWatched looks at one running shop: at the traces of its checkouts, and
// at what is told when its processes end, its stock is wrong, and its disk is short.
func TestShopIsWatched(t *testing.T) {
	s := open(t)
	t.Run("a trace is found by its order", func(t *testing.T) { s.as(t).aTraceIsFoundByItsOrder() })
	t.Run("a probe is marked to its end", func(t *testing.T) { s.as(t).aProbeIsMarkedToItsEnd() })
	t.Run("alerts", func(t *testing.T) { s.as(t).firesAlerts() })
}

// firesAlerts has the shop watched with its own alerts beside the shipped ones.
func (s *shop) firesAlerts() {
	text, err := os.ReadFile("../../alerts.yaml")
	if err != nil {
		s.t.Fatal(err)
	}
	_, alerts, _ := strings.Cut(string(text), "\nalerts:\n")
	w := &watch{t: s.t, own: "keeper", more: "alerts:\n" + alerts}
	w.begin()
	s.followedBy(w)
	s.set("inventory.oversold.period=200ms")
	as := s.asService()
	reservationExpires, reservationsFail, paymentsFail := s.reservationExpires(w, as), s.reservationsFail(w, as), s.paymentsFail(w, as)
	w.together(reservationExpires, func() {
		w.together(func() { s.processEnds(w) }, func() { s.stockIsWrong(w) }, func() { s.diskIsShort(w) }, reservationsFail, paymentsFail)
		s.nothingIsStored(w)
	})
}

// nothingIsStored: less is free than metrics leave to the services.
func (s *shop) nothingIsStored(w *watch) {
	w.hold(fault{[]expected{alarm("MetricsNotStored")}, func() (func(), error) {
		none := w.limits
		none.Reserve = 1 << 60
		return func() {
			if err := w.scraped.SetLimits(w.limits); err != nil {
				s.t.Error(err)
			}
		}, w.scraped.SetLimits(none)
	}})
}

// followedBy has the processes of the shop scraped that its supervisor tells of.
func (s *shop) followedBy(w *watch) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	own := w.targets
	go func() {
		defer close(done)
		for rest(ctx, 500*time.Millisecond) {
			resp, err := http.Get("http://" + s.info.GetSystem().GetAdmin() + supervisor.TargetsPath)
			if err != nil {
				s.t.Error(err)
				return
			}
			var groups []supervisor.TargetGroup
			err = json.NewDecoder(resp.Body).Decode(&groups)
			resp.Body.Close()
			if err != nil {
				s.t.Error(err)
				return
			}
			all := own[:len(own):len(own)]
			for _, g := range groups {
				all = append(all, metricstore.Target{Service: g.Labels["service"], Instance: g.Labels["instance"], URL: "http://" + g.Targets[0] + "/metrics"})
			}
			if err := w.scraped.SetTargets(ctx, all); err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
		}
	}()
	s.t.Cleanup(func() { cancel(); <-done })
}

// processEnds: the only process of a service ends as soon as it runs.
func (s *shop) processEnds(w *watch) {
	of := []string{"service", "notification"}
	all := []expected{alarm("CrashLoop", of...), alarm("InstanceFlapping", of...), alarm("InstancesMissing", of...), alarm("ServiceDown", of...)}
	w.hold(fault{all, func() (func(), error) {
		ctx, cancel := context.WithCancel(s.t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for rest(ctx, 100*time.Millisecond) {
				_, _ = s.ctl("kill", "notification/1") // it may just be started again
			}
		}()
		return func() { cancel(); <-done }, nil
	}})
}

// stockIsWrong: a reservation that nobody made holds more than there is.
func (s *shop) stockIsWrong(w *watch) {
	ctx := s.t.Context()
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(s.data, "inventory.db"), store.Options{})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer db.Close()
	do := func(query string, args ...any) {
		if _, err := db.Exec(ctx, query, args...); err != nil {
			s.t.Error(err)
		}
	}
	w.hold(fault{[]expected{alarm("StockOversold")}, func() (func(), error) {
		held, now := int64(inventoryv1.ReservationState_HELD), time.Now()
		do(`INSERT INTO reservations (id, state, expire_time, create_time, update_time) VALUES ('nobody', ?, ?, ?, ?)`, held, now.Add(time.Hour), now, now)
		do(`INSERT INTO reservation_lines (reservation_id, sku, quantity) VALUES ('nobody', '22423', 1000000000)`)
		return func() {
			do(`DELETE FROM reservation_lines WHERE reservation_id = 'nobody'`)
			do(`DELETE FROM reservations WHERE id = 'nobody'`)
		}, nil
	}})
}

// asService makes calls those of another service of the shop.
func (s *shop) asService() func(context.Context) context.Context {
	s.t.Helper()
	key, err := node.ReadKey(filepath.Join(s.data, "key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return func(ctx context.Context) context.Context {
		token, err := key.Sign("order")
		if err != nil {
			s.t.Error(err)
		}
		return metadata.AppendToOutgoingContext(ctx, rpc.MetadataService, token)
	}
}

// reservationExpires: whoever made a reservation is gone.
func (s *shop) reservationExpires(w *watch, as func(context.Context) context.Context) func() {
	stock := inventoryv1.NewInventoryServiceClient(s.dial(s.t, "inventory"))
	return func() {
		w.hold(fault{[]expected{alarm("StockReservationsExpire")}, func() (func(), error) {
			n := 0
			w.must("reserve stock", func() error {
				n++
				_, err := stock.Reserve(as(s.t.Context()), &inventoryv1.ReserveRequest{
					ReservationId: fmt.Sprint("left-", n), Lines: []*inventoryv1.Line{{Sku: "22423", Quantity: 1}},
					ExpireTime: timestamppb.New(time.Now().Add(2 * time.Second)),
				})
				return err
			})
			return func() {}, nil
		}})
	}
}

// reservationsFail: the table of reservations takes no more of those that somebody
// gives back.
func (s *shop) reservationsFail(w *watch, as func(context.Context) context.Context) func() {
	stock, n := inventoryv1.NewInventoryServiceClient(s.dial(s.t, "inventory")), &atomic.Int64{}
	return func() {
		s.stepsFail(w, alarm("StockReservationsFail"), "inventory", func() {
			_, _ = stock.Release(as(s.t.Context()), &inventoryv1.ReleaseRequest{ReservationId: fmt.Sprint("unwanted-", n.Add(1))})
		}, `CREATE TRIGGER broken BEFORE INSERT ON reservations WHEN NEW.id LIKE 'unwanted-%' BEGIN SELECT RAISE(ABORT, 'broken'); END`, `DROP TRIGGER broken`)
	}
}

// paymentsFail: the table of payments is away.
func (s *shop) paymentsFail(w *watch, as func(context.Context) context.Context) func() {
	payments := paymentv1.NewPaymentServiceClient(s.dial(s.t, "payment"))
	return func() {
		s.stepsFail(w, alarm("PaymentsFail"), "payment", func() {
			_, _ = payments.Void(as(s.t.Context()), &paymentv1.VoidRequest{PaymentId: "nobody"})
		}, `ALTER TABLE payments RENAME TO payments_away`, `ALTER TABLE payments_away RENAME TO payments`)
	}
}

// stepsFail: what is called of a service again and again does not work, for as long
// as its database is broken.
func (s *shop) stepsFail(w *watch, e expected, service string, call func(), breaks, mends string) {
	ctx := s.t.Context()
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(s.data, service+".db"), store.Options{})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer db.Close()
	defer w.times(5, call)()
	w.hold(fault{[]expected{e}, func() (func(), error) {
		_, err := db.Exec(ctx, breaks)
		return func() {
			w.must("mend the database", func() error {
				_, err := db.Exec(ctx, mends)
				return err
			})
		}, err
	}})
}

// diskIsShort: less is free than traces and logs leave to the services.
func (s *shop) diskIsShort(w *watch) {
	defer w.each(func() { s.get("/v1/products/22423") })()
	w.hold(fault{[]expected{alarm("SignalsDropped", "reason", "disk")}, func() (func(), error) {
		_, err := s.ctl("config", "set", "--reason", "a test", "signals.reserve=1125899906842624")
		return func() {
			if _, err := s.ctl("config", "set", "--reason", "a test", "signals.reserve=134217728"); err != nil {
				s.t.Error(err)
			}
		}, err
	}})
}

// get asks for a page, whatever the answer.
func (s *shop) get(path string) {
	if resp, err := http.Get(s.url + path); err == nil {
		resp.Body.Close()
	}
}

// asked is what a command of warren answers in JSON.
func (s *shop) asked(into proto.Message, args ...string) {
	s.t.Helper()
	if err := protojson.Unmarshal([]byte(s.must(append(args, "--json")...)), into); err != nil {
		s.t.Fatal(err)
	}
}
