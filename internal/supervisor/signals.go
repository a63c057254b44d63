package supervisor

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/signals"
	"github.com/gowarren/warren/internal/system"
)

// startSignals opens the store of traces and logs, if it is to run inside, and
// returns where processes send their traces.
func (s *Supervisor) startSignals(ctx context.Context) (url string, err error) {
	grpc, http, embedded := tracesEngine(s.system.Engines.Traces)
	if !embedded {
		return s.system.Engines.Traces, nil
	}
	began := time.Now()
	s.signalMetrics = prometheus.NewRegistry()
	s.signals, err = signals.Open(ctx, signals.Options{
		Dir: s.data.path("signals"), GRPC: grpc, HTTP: http, Logger: s.log, Metrics: s.signalMetrics,
	})
	if err != nil {
		return "", err
	}
	s.signals.Register(s.control)
	s.logs.Hand(func(l fleet.Line) { s.signals.AddLine(l.Service, l.Instance, l.Time, l.Text) })
	s.engineReady("traces and logs", began, func() error {
		s.logs.Hand(nil)
		return s.signals.Close()
	})
	return s.signals.URL(), nil
}

// tracesEngine reads "embedded", which takes free ports, and
// "embedded://host:4317": over HTTP it is the port above, as is usual.
func tracesEngine(engine string) (grpc, http string, embedded bool) {
	address, ok := strings.CutPrefix(engine, system.Embedded)
	if !ok {
		return "", "", false
	}
	address = strings.TrimPrefix(address, "://")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", true
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 {
		return address, net.JoinHostPort(host, strconv.Itoa(n+1)), true
	}
	return address, net.JoinHostPort(host, "0"), true
}
