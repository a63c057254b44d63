package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	framework "github.com/gowarren/warren"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/rpc"
	catalogv1 "github.com/gowarren/warren/shop/api/shop/catalog/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

// bed is a system of small services, of which each can be made to fail in its
// own way, under the eyes of a watch.
type bed struct {
	*watch
	sys    *warrentest.System
	shelf  *shelf
	data   string
	starts []func()
}

func newBed(t *testing.T) *bed {
	b := &bed{watch: &watch{t: t, own: "warren"}, sys: warrentest.New(t), shelf: &shelf{}, data: t.TempDir()}
	b.sys.Token("nobody") // so that tokens are known before somebody asks
	b.begin()
	return b
}

// doing is what a handler does at present; nothing: it answers.
type doing struct {
	f atomic.Pointer[func(context.Context) error]
}

func (d *doing) now(f func(context.Context) error) { d.f.Store(&f) }

func (d *doing) do(ctx context.Context) error {
	if f := d.f.Load(); f != nil {
		return (*f)(ctx)
	}
	return nil
}

// healthy is what is done when nothing is wrong.
func healthy(context.Context) error { return nil }

// away is what is answered by who lacks something.
func away(context.Context) error { return status.Error(codes.Unavailable, "away") }

// haulier serves the contract of shipping, in as many services as there are faults.
type haulier struct {
	shippingv1.UnimplementedShippingServiceServer
	doing
}

func (h *haulier) CancelShipment(ctx context.Context, _ *shippingv1.CancelShipmentRequest) (*shippingv1.CancelShipmentResponse, error) {
	return &shippingv1.CancelShipmentResponse{}, h.do(ctx)
}

// shelf serves the catalogue's contract in one service, for those who come by the
// gateway, and for sagas: one product is refused, and one is late.
type shelf struct {
	catalogv1.UnimplementedCatalogServiceServer
	doing
	late doing
}

const refused, late = "REFUSED", "LATE"

func (s *shelf) GetProduct(ctx context.Context, req *catalogv1.GetProductRequest) (*catalogv1.Product, error) {
	switch req.GetSku() {
	case refused:
		return nil, status.Error(codes.FailedPrecondition, "not this one")
	case late:
		return &catalogv1.Product{Sku: late}, s.late.do(ctx)
	}
	return &catalogv1.Product{Sku: req.GetSku()}, s.do(ctx)
}

// member is a service of the bed, with what its setup has got hold of.
type member struct {
	app *framework.App
	db  *store.DB
}

var oneTable = fstest.MapFS{"0001_things.sql": {Data: []byte(`CREATE TABLE things (id INTEGER PRIMARY KEY)`)}}

// file writes a system file with settings of its own.
func (b *bed) file(name, settings string) string {
	path := filepath.Join(b.data, name+".yaml")
	text := "system: test\nauth: {issuer: warrentest, audience: warrentest}\n"
	if settings != "" {
		text += "settings: {" + settings + "}\n"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// start starts a service and has it scraped; ready waits for it, and for others.
func (b *bed) start(name, settings string, setup func(ctx context.Context, app *framework.App, m *member) error, args ...string) *member {
	b.t.Helper()
	m, begun := &member{}, make(chan struct{})
	args = append([]string{"--system-file", b.file(name, settings), "--data", b.data}, args...)
	i := b.sys.Start(name, func(ctx context.Context, app *framework.App) error {
		defer close(begun)
		m.app = app
		return setup(ctx, app, m)
	}, args...)
	i.Expect(context.DeadlineExceeded) // it may leave late on a machine that is busy
	select {
	case <-begun:
	case <-i.Done():
		b.t.Fatalf("%s ended: %v", name, i.Stop())
	}
	b.starts = append(b.starts, func() { b.scrape(i.ID) })
	return m
}

// scrape has the instance with an id scraped, once the registry knows it.
func (b *bed) scrape(id string) {
	b.t.Helper()
	admin := warrentest.Eventually(b.t, id+" to be registered", func() (string, bool) {
		for _, i := range b.sys.Registry().Snapshot().Instances {
			if i.ID == id && i.Admin != "" {
				return i.Admin, true
			}
		}
		return "", false
	})
	service, _, _ := strings.Cut(id, "/")
	b.target(metricstore.Target{Service: service, Instance: id, URL: "http://" + admin + "/metrics"})
}

// ready has all that were started scraped.
func (b *bed) ready() {
	b.t.Helper()
	for _, f := range b.starts {
		f()
	}
	b.starts = nil
}

// serves is the setup of a service whose calls do what they are told.
func serves(d *haulier) func(context.Context, *framework.App, *member) error {
	return func(_ context.Context, app *framework.App, _ *member) error {
		shippingv1.RegisterShippingServiceServer(app, d)
		return nil
	}
}

// keeps is the setup of a service with a database, and with events.
func keeps(more func(app *framework.App) error) func(context.Context, *framework.App, *member) error {
	return func(ctx context.Context, app *framework.App, m *member) (err error) {
		if m.db, err = app.Database(ctx, oneTable); err != nil {
			return err
		}
		app.Events()
		if more != nil {
			return more(app)
		}
		return nil
	}
}

// call calls a service of the bed, as who is given.
func (b *bed) call(from shippingv1.ShippingServiceClient, to string) error {
	_, err := from.CancelShipment(rpc.ToService(b.t.Context(), to), &shippingv1.CancelShipmentRequest{ShipmentId: "s"})
	return err
}

// wire is a way to a server that can be cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	conns map[net.Conn]bool
	work  sync.WaitGroup
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to, conns: map[net.Conn]bool{}}
	w.work.Go(w.serve)
	t.Cleanup(func() {
		l.Close()
		w.cut(true)
		w.work.Wait()
	})
	return w
}

func (w *wire) serve() {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil || !w.take(in, out) {
			in.Close()
			if out != nil {
				out.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			w.work.Go(func() {
				_, _ = io.Copy(pair[0], pair[1]) // until one side ends
				pair[0].Close()
				pair[1].Close()
			})
		}
	}
}

func (w *wire) take(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut {
		return false
	}
	for _, c := range conns {
		w.conns[c] = true
	}
	return true
}

// cut ends all connections and lets none through, until it is mended.
func (w *wire) cut(now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = now
	if now {
		for c := range w.conns {
			c.Close()
		}
		clear(w.conns)
	}
}

// address is the URL of what is at the other end, by this way.
func (w *wire) address(of string) string {
	scheme, rest, _ := strings.Cut(of, "://")
	_, path, _ := strings.Cut(rest, "/")
	return fmt.Sprintf("%s://%s/%s", scheme, w.listener.Addr(), path)
}
