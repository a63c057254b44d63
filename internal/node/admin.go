package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/gowarren/warren/internal/admin"
)

// adminServer serves health, metrics and profiles, from before the process is
// ready until after it has drained.
type adminServer struct {
	address string
	server  *http.Server
}

func (n *Node) openAdmin(sections map[string]func() any) error {
	sections = maps.Clone(sections)
	if sections == nil {
		sections = map[string]func() any{}
	}
	sections["registry"] = func() any { return n.Registry.Snapshot() }
	if n.Client != nil {
		sections["calls"] = func() any { return n.Client.State() }
	}
	l, err := net.Listen("tcp", n.Env.Admin)
	if err != nil {
		return fmt.Errorf("listen for admin on %s: %w", n.Env.Admin, err)
	}
	address := l.Addr().String()
	if at, ok := l.Addr().(*net.TCPAddr); ok && at.IP.IsUnspecified() { // "any" is nowhere for others
		if address, err = n.Env.AdvertiseBeside(l); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	handler := admin.New(admin.Options{
		Ready:    n.ready,
		Metrics:  n.Telemetry.Metrics(),
		Policies: func() any { return n.Settings.InForce() },
		Sections: sections,
	})
	n.admin = &adminServer{address: address, server: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}}
	go func() {
		if err := n.admin.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			n.Logger().Error("admin listener ended", "error", err)
		}
	}()
	n.OnClose(n.admin.close)
	return nil
}

// close cuts off who still looks: that is no reason to end with an error.
func (a *adminServer) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) == nil {
		return nil
	}
	return a.server.Close()
}

func (n *Node) ready(ctx context.Context) []admin.Check {
	_, results := n.Health.Check(ctx)
	out := make([]admin.Check, len(results))
	for i, r := range results {
		out[i] = admin.Check{Name: r.Name, OK: r.OK, Reason: r.Err}
	}
	return out
}
