package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/gowarren/warren/internal/admin"
	"github.com/gowarren/warren/internal/fleet"
)

// TargetsPath is where the admin listener tells an outside Prometheus what there
// is to scrape.
const TargetsPath = "/sd"

// TargetGroup is what Prometheus' HTTP service discovery reads: places with the
// labels of their series.
type TargetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// openAdmin serves what every process shows of itself, and the list of all of
// them. A port that nobody chose and that is taken is no reason not to run.
func (s *Supervisor) openAdmin() error {
	address := s.opts.Admin
	if address == "" {
		address = s.system.Admin.Address
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address // what is open to the network is so by an explicit address
	}
	l, elsewhere, err := listenNear(address, s.opts.Admin != "")
	if err != nil {
		return fmt.Errorf("open the admin listener: %w; choose another address with --admin", err)
	}
	at := l.Addr().String()
	if elsewhere != nil {
		s.event(fleet.Event{Kind: "admin_elsewhere", Instance: ownLog, Message: "the supervisor's metrics are at " + at + ": " + elsewhere.Error()})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+TargetsPath, s.showTargets)
	mux.Handle("/", admin.New(admin.Options{Metrics: gatherers(s.own), Ready: s.readiness}))
	const header, idle = 10 * time.Second, 2 * time.Minute
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: header, IdleTimeout: idle, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() { _ = server.Serve(l) }()
	s.admin.Store(&at)
	s.closers = append(s.closers, server.Close)
	return nil
}

// listenNear listens at an address, or at a free port of this machine if the
// address is taken and nobody insists on it; elsewhere says why.
func listenNear(address string, insist bool) (l net.Listener, elsewhere, err error) {
	l, err = net.Listen("tcp", address)
	if insist || !errors.Is(err, syscall.EADDRINUSE) {
		return l, nil, err
	}
	elsewhere = err
	l, err = net.Listen("tcp", "127.0.0.1:0")
	return l, elsewhere, err
}

func (s *Supervisor) showTargets(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.TargetGroups()) //nolint:errchkjson // whoever went away reads nothing
}

// TargetGroups lists what an outside Prometheus is to scrape, under the labels
// that the embedded one gives.
func (s *Supervisor) TargetGroups() []TargetGroup {
	out := []TargetGroup{}
	for _, t := range s.targets(nil) {
		address := strings.TrimSuffix(strings.TrimPrefix(t.URL, "http://"), "/metrics")
		if at := s.admin.Load(); t.URL == "" && at != nil {
			address = *at
		}
		labels := map[string]string{
			"job": t.Service, "service": t.Service, "instance": t.Instance,
			"environment": s.system.Environment, "__meta_warren_system": s.system.Name,
		}
		if t.Version != "" {
			labels["version"] = t.Version
		}
		out = append(out, TargetGroup{Targets: []string{address}, Labels: labels})
	}
	return out
}

// readiness is what /readyz of the supervisor asks: whether all are ready.
func (s *Supervisor) readiness(context.Context) []admin.Check {
	var out []admin.Check
	for _, st := range s.fleet.Status() {
		c := admin.Check{Name: st.Instance, OK: st.State == fleet.Ready}
		if !c.OK {
			c.Reason = stateName(st.State)
		}
		out = append(out, c)
	}
	return out
}
