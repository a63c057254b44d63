// Package node is what every process of a system has in common, be it a
// service or the gateway: who it is, its engines, its settings, its place in
// the registry, its admin listener, and the order in which it starts and ends.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	configdriver "github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/telemetry"
	"github.com/gowarren/warren/txn/barrier"
)

// Settings that hold for every process.
var (
	settingDrain = config.Duration("process.drain.timeout", 30*time.Second, 0, time.Hour,
		"How long a process that ends may take to drain, before what is left is cut off.")
	settingLogLevel = config.Enum("log.level", "info", []string{"debug", "info", "warn", "error"},
		"The least level that is logged.")
)

// Node is a process of a system. Its fields are set by Open and don't change.
type Node struct {
	Env       Environment
	Telemetry *telemetry.Telemetry
	Settings  *config.Settings
	Registry  *registry.Registry
	Client    *rpc.Client
	Verifier  *auth.Verifier   // nil: nobody can sign in
	Key       *auth.ServiceKey // nil: services don't know one another
	Health    *Health

	level     *slog.LevelVar
	traces    *traceSettings // nil until there are settings
	drainTime *config.Value[time.Duration]
	admin     *adminServer
	closers   []func(context.Context) error // run in reverse

	announced atomic.Pointer[[]*registry.Announcement]
}

// Options are what kinds of processes differ in.
type Options struct {
	Definitions []config.Definition // settings beside the standard ones
	// OwnClient: the process brings its own client, made from ClientOptions,
	// and sets Client before Run.
	OwnClient bool
	// Sections are shown by the admin listener beside the policies in force.
	Sections map[string]func() any
}

// Open assembles a node. It waits for no engine: what is away is waited for in
// Run. Its errors are mistakes in the environment.
func Open(ctx context.Context, env Environment, opts Options) (_ *Node, err error) {
	n := &Node{Env: env, Health: newHealth(), level: new(slog.LevelVar)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close(ctx))
		}
	}()
	if err := n.openTelemetry(ctx); err != nil {
		return nil, err
	}
	if err := n.openSettings(ctx, opts.Definitions); err != nil {
		return nil, err
	}
	if err := n.openRegistry(ctx); err != nil {
		return nil, err
	}
	if err := n.openCalls(opts); err != nil {
		return nil, err
	}
	return n, n.openAdmin(opts.Sections)
}

// Definitions returns the settings that hold for every process.
func Definitions() []config.Definition {
	return append(slices.Concat(rpc.Definitions(), registry.Definitions(), events.Definitions(), barrier.Definitions(), idempotency.Definitions()),
		settingSample.Definition(), settingSlow.Definition(), settingLate.Definition(), settingBaggage.Definition(),
		settingLogLevel.Definition(), settingDrain.Definition(), settingGC.Definition())
}

// DrainTimeout is how long a process of the service may take to drain.
func DrainTimeout(settings *config.Settings, service string) *config.Value[time.Duration] {
	return config.Watch(settings, settingDrain, config.Scope{Service: service})
}

// Logger returns the process's logger.
func (n *Node) Logger() *slog.Logger { return n.Telemetry.Logger() }

// OnClose runs f when the node closes, after what was opened later has closed.
func (n *Node) OnClose(f func(context.Context) error) { n.closers = append(n.closers, f) }

// Finish is Close within the time that the end of a process may take.
func (n *Node) Finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return n.Close(ctx)
}

// Close releases everything, in reverse order, and returns all errors.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	for len(n.closers) > 0 {
		last := n.closers[len(n.closers)-1]
		n.closers = n.closers[:len(n.closers)-1]
		errs = append(errs, closeOne(ctx, last))
	}
	return errors.Join(errs...)
}

// closeOne runs one hook; one that hangs or panics must keep neither the
// others from their turn nor the process from its end.
func closeOne(ctx context.Context, hook func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic at the end: %v\n%s", p, debug.Stack())
			}
		}()
		done <- hook(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	last := time.NewTimer(lastMoment) // also for those whose turn comes when the time is over
	defer last.Stop()
	select {
	case err := <-done:
		return err
	case <-last.C:
		return fmt.Errorf("end the process: a hook did not return: %w", context.Cause(ctx))
	}
}

func (n *Node) openTelemetry(ctx context.Context) error {
	if err := n.level.UnmarshalText([]byte(n.Env.LogLevel)); err != nil {
		return fmt.Errorf("read log level %q: want debug, info, warn or error", n.Env.LogLevel)
	}
	tel, err := telemetry.Open(ctx, telemetry.Options{
		Service: n.Env.Service, Instance: n.Env.Instance, Version: n.Env.Version, Environment: n.Env.Environment,
		Traces: n.Env.Traces, Sample: n.sample, Slow: n.slow, Late: n.late, Baggage: n.baggage,
		LogFormat: n.Env.LogFormat, LogLevel: n.level,
	})
	if err != nil {
		return err
	}
	n.Telemetry = tel
	n.OnClose(tel.Close)
	return nil
}

func (n *Node) openSettings(ctx context.Context, more []config.Definition) error {
	opts := config.Options{
		Environment: n.Env.Environment, Service: n.Env.Service,
		Definitions: append(Definitions(), more...),
		Snapshot:    n.Env.Snapshot("settings"),
		Applied:     n.tellRevision,
		Logger:      n.Logger(), Metrics: n.Telemetry.Metrics(),
	}
	if n.Env.File != nil {
		opts.File = n.Env.File.Settings
	}
	var driver configdriver.Driver
	if n.Env.Config != "" {
		var err error
		if driver, err = OpenConfig(ctx, n.Env.Config); err != nil {
			return err
		}
		n.OnClose(func(context.Context) error { return driver.Close() })
		opts.Driver = driver
	}
	settings, err := config.New(opts)
	if err != nil {
		return err
	}
	n.Settings = settings
	own := config.Scope{Service: n.Env.Service}
	n.traces, n.drainTime = watchTraces(settings, own), DrainTimeout(settings, n.Env.Service)
	n.OnClose(func(context.Context) error { settings.Close(); return nil })
	n.Health.Add("settings", settings.Ready)
	n.followLogLevel()
	n.tuneMemory(os.Getenv)
	return nil
}

// followLogLevel lets the setting win over the environment's level once
// somebody sets it.
func (n *Node) followLogLevel() {
	level := config.Watch(n.Settings, settingLogLevel, config.Scope{Service: n.Env.Service}, strings.ToLower(n.level.Level().String()))
	apply := func(text string) { _ = n.level.UnmarshalText([]byte(text)) } // checked by the setting
	level.OnChange(apply)                                                  // first, or a change between the two would be missed
	apply(level.Get())
}

func (n *Node) openRegistry(ctx context.Context) error {
	url := n.Env.Registry
	if url == "" {
		url = "static:" // a process alone: it can be called, and calls nobody
	}
	driver, err := OpenRegistry(ctx, url)
	if err != nil {
		return err
	}
	n.Registry = registry.New(driver, registry.Options{
		Logger: n.Logger(), Metrics: n.Telemetry.Metrics(), Snapshot: n.Env.Snapshot("registry"), Settings: n.Settings,
	})
	n.OnClose(func(context.Context) error { return n.Registry.Close() })
	return nil
}

func (n *Node) openCalls(opts Options) error {
	key, err := ReadKey(n.Env.KeyFile)
	if err != nil {
		return err
	}
	n.Key = key
	if !opts.OwnClient {
		if n.Client, err = rpc.NewClient(n.ClientOptions()); err != nil {
			return err
		}
		n.OnClose(func(context.Context) error { return n.Client.Close() })
	}
	n.Verifier, err = n.openVerifier()
	return err
}

// ClientOptions are those of a client in this process.
func (n *Node) ClientOptions() rpc.ClientOptions {
	return rpc.ClientOptions{
		Registry: n.Registry, Settings: n.Settings, Tracer: n.Telemetry.Tracer(), Metrics: n.Telemetry.Metrics(),
		Logger: n.Logger(), Service: n.Env.Service, ServiceKey: n.Key, Zone: n.Env.Zone, Host: n.Env.Host,
	}
}

// Snapshot names the file in which this service remembers what an engine said.
// Instances of one service on one machine share it: the last one to write wins.
func (e Environment) Snapshot(of string) string {
	dir := filepath.Join(e.Data, "snapshots")
	if os.MkdirAll(dir, 0o700) != nil {
		return "" // a start without the engine will not be possible, nothing else is lost
	}
	return filepath.Join(dir, e.Service+"."+of)
}

// ReadKey reads the system's secret.
func ReadKey(path string) (*auth.ServiceKey, error) {
	if path == "" {
		return nil, nil
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the system's key: %w", err)
	}
	key, err := auth.NewServiceKey(secret)
	if err != nil {
		return nil, fmt.Errorf("read the system's key from %s: %w", path, err)
	}
	return key, nil
}
