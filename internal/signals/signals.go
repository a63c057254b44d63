// Package signals is where the traces and logs of a system go: a receiver of
// OTLP, a store on disk, and the services that search it.
package signals

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/otlp"
)

// Options say where traces and logs are kept, and where they come in.
type Options struct {
	Dir     string
	GRPC    string // address for OTLP over gRPC; "": a free port of this machine
	HTTP    string // and over HTTP
	Logger  *slog.Logger
	Metrics prometheus.Registerer // nil: none
	// Patience is how long a search looks; 0: 350 ms.
	Patience time.Duration
}

// Signals is the running store of traces and logs. It is safe for concurrent use.
type Signals struct {
	archive  *archive.Archive
	receiver *otlp.Receiver
	settings atomic.Pointer[settings]
	patience time.Duration
}

// Open opens the store and begins to receive.
func Open(ctx context.Context, opts Options) (*Signals, error) {
	s := &Signals{patience: cmp.Or(opts.Patience, defaultPatience)}
	s.settings.Store(watch(nil))
	var err error
	s.archive, err = archive.Open(archive.Options{Dir: opts.Dir, Limits: s.limits, Logger: opts.Logger, Metrics: opts.Metrics})
	if err != nil {
		return nil, err
	}
	s.receiver, err = otlp.Listen(ctx, otlp.Options{GRPC: opts.GRPC, HTTP: opts.HTTP, Sink: sink{s.archive}})
	if err != nil {
		return nil, errors.Join(err, s.archive.Close())
	}
	return s, nil
}

// Close ends receiving, writes what has come, and closes the store.
func (s *Signals) Close() error { return errors.Join(s.receiver.Close(), s.archive.Close()) }

// Obey makes the store follow live settings.
func (s *Signals) Obey(from *config.Settings) { s.settings.Store(watch(from)) }

// URL is where a process of the system sends its traces.
func (s *Signals) URL() string { return "otlp://" + s.receiver.GRPC() }

// AddLine takes a line that a process of the system printed. It never waits.
func (s *Signals) AddLine(service, instance string, at time.Time, text string) {
	s.archive.AddOutput(archive.Output{Service: service, Instance: instance, Time: at, Text: text})
}

// Problem says what is wrong with the store now; "": nothing.
func (s *Signals) Problem() string { return s.archive.Stats().Problem }

// Register serves the contracts that search the store.
func (s *Signals) Register(on grpc.ServiceRegistrar) {
	observev1.RegisterTraceServiceServer(on, &traceService{signals: s})
	observev1.RegisterLogServiceServer(on, &logService{archive: s.archive, patience: s.patience})
}

// sink hands what was received to the store.
type sink struct{ archive *archive.Archive }

func (s sink) AddTraces(td ptrace.Traces) error { return busy(s.archive.AddTraces(td)) }

func (s sink) AddLogs(ld plog.Logs) error { return busy(s.archive.AddLogs(ld)) }

func busy(err error) error {
	if errors.Is(err, archive.ErrBusy) {
		return otlp.ErrBusy
	}
	return err
}
