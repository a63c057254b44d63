// Package supervisor brings a system up on one machine: it starts the engines
// inside this process, the gateway and the services as processes of their own,
// keeps them running, and answers for them on the control socket.
package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/console"
	"github.com/gowarren/warren/internal/control"
	"github.com/gowarren/warren/internal/engines"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/signals"
	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/registry"
)

// Options say what to bring up.
type Options struct {
	File        string // warren.yaml
	Environment string // of the file; "" is the one it names
	Data        string // folder; "" is .warren beside the file
	Fresh       bool   // begin with an empty folder
	Gateway     string // address; "" is the file's
	Console     string // address; "" is the file's, NoConsole none
	Admin       string // address; "" is the file's
	Author      string // who sits at this machine
	Program     string // the warren binary, which is the gateway too
	Version     string
	Events      func(fleet.Event) // for the operator; must not block
	// Definitions are the settings of Warren itself: a wrong one in the file is
	// refused before anything starts. Those of services they check themselves.
	Definitions []config.Definition
}

// Supervisor is a system that is up.
type Supervisor struct {
	opts     Options
	system   *system.System
	data     *data
	logs     *fleet.Logs
	etcd     *engines.Etcd
	settings *config.Settings
	centre   *config.Centre // of the system's settings
	registry *registry.Registry
	control  *grpc.Server // of the control socket
	api      *control.API // what is answered there that is not the supervisor's
	fleet    *fleet.Fleet

	broker        atomic.Pointer[engines.NATS]
	brokerOptions engines.NATSOptions // with the address that it got

	console atomic.Pointer[console.Console]
	admin   atomic.Pointer[string] // the address; nil: it does not listen yet
	own     *prometheus.Registry   // what the supervisor and what runs in it count

	signals       *signals.Signals     // nil: traces go elsewhere
	signalMetrics *prometheus.Registry // of the store of traces and logs

	registryURL, configURL, eventsURL, locksURL, tracesURL string

	metrics    *metricstore.Store // nil: none are kept
	metricsEnd func() error

	log     *slog.Logger
	started time.Time
	closers []func() error // run in reverse
	done    chan error

	readyOnce sync.Once
	ready     atomic.Int64 // how long it took, as a time.Duration; 0: not yet
}

// Up builds and starts the system. When it returns, everything is running or
// starting; Wait tells when it is ready. Close must be called unless it fails.
func Up(ctx context.Context, opts Options) (_ *Supervisor, err error) {
	s := &Supervisor{opts: opts, started: time.Now(), done: make(chan error, 1)}
	s.control = s.newControl()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.system, err = system.Load(opts.File, opts.Environment); err != nil {
		return nil, err
	}
	if err := s.system.Settings.CheckFamilies(slices.Concat(opts.Definitions, observeDefinitions())); err != nil {
		return nil, err
	}
	if opts.Data == "" {
		s.opts.Data = filepath.Join(s.system.Dir, ".warren")
	}
	if s.data, err = openData(s.opts.Data, opts.Fresh); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.data.close)
	// Answers until all else has ended: draining can be watched.
	s.closers = append(s.closers, func() error { s.control.Stop(); return nil })
	if err := s.openLog(); err != nil {
		return nil, err
	}
	environment, err := s.startFleet(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.openControl(); err != nil {
		return nil, err
	}
	if err := s.openExperiments(); err != nil {
		return nil, err
	}
	if err := s.openProfiles(); err != nil {
		return nil, err
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	if err := s.openAdmin(); err != nil {
		return nil, err
	}
	if err := s.openConsole(); err != nil {
		return nil, err
	}
	return s, s.data.publish(environment)
}

// ownLog is the name of the supervisor among those who log.
const ownLog = "warren"

// openLog sends the supervisor's own log where the services' logs are.
func (s *Supervisor) openLog() (err error) {
	if s.logs, err = fleet.NewLogs(s.data.path("log")); err != nil {
		return err
	}
	s.log = slog.New(slog.NewJSONHandler(s.logs.Writer(ownLog), &slog.HandlerOptions{ReplaceAttr: readable}))
	return nil
}

// startFleet builds the services, starts the engines, then everything else.
// Building goes first: a mistake in the code should not wait for an engine.
func (s *Supervisor) startFleet(ctx context.Context) (environment []string, err error) {
	if err := s.system.CheckFolders(); err != nil {
		return nil, err
	}
	p := &presence{}
	f, err := fleet.New(ctx, s.plan(), fleet.Options{Presence: p, Events: s.event, Logs: s.logs})
	if err != nil {
		return nil, err
	}
	stop := func() error { f.Stop(); return nil } // again is no harm
	s.closers = append(s.closers, stop)
	if environment, err = s.startEngines(ctx); err != nil {
		return nil, err
	}
	if err := s.openSettings(ctx); err != nil {
		return nil, err
	}
	if err := s.openRegistry(ctx, p); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.closeMetrics, stop) // before the engines that it needs to drain
	s.fleet = f
	f.Start(environment)
	return environment, s.startMetrics()
}

// Wait returns when everything is ready, or with what is not.
func (s *Supervisor) Wait(ctx context.Context) error {
	if err := s.waitFor(ctx); err != nil {
		return err
	}
	s.readyOnce.Do(func() { s.ready.Store(int64(time.Since(s.started))) })
	return nil
}

// ReadyAfter is how long it took until everything was ready; 0: it is not yet.
func (s *Supervisor) ReadyAfter() time.Duration { return time.Duration(s.ready.Load()) }

// Done is closed when somebody asked the system to stop, or an engine died;
// the error says which.
func (s *Supervisor) Done() <-chan error { return s.done }

// Close drains and stops everything, in reverse order.
func (s *Supervisor) Close() error {
	var errs []error
	for len(s.closers) > 0 {
		last := s.closers[len(s.closers)-1]
		s.closers = s.closers[:len(s.closers)-1]
		errs = append(errs, last())
	}
	return errors.Join(errs...)
}

// event hands what happens to the operator, and to the log.
func (s *Supervisor) event(e fleet.Event) {
	attrs := []any{"kind", e.Kind, "instance", e.Instance}
	if len(e.Lines) > 0 {
		attrs = append(attrs, "lines", e.Lines)
	}
	s.log.Info(e.Message, attrs...)
	if s.opts.Events != nil {
		s.opts.Events(e)
	}
}

// end asks for the end of the system; the first reason counts.
func (s *Supervisor) end(reason error) {
	select {
	case s.done <- reason:
	default:
	}
}

// readable writes durations as people do; a number of nanoseconds is for nobody.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
