// Package otlp receives traces and logs as OpenTelemetry sends them: over gRPC,
// and over HTTP as protobuf or JSON.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what most exporters compress with
)

// ErrBusy is what a sink answers that takes nothing now: the sender should try
// again later.
var ErrBusy = errors.New("too much is on its way")

// Sink takes what was received. What it is given is its own.
type Sink interface {
	AddTraces(td ptrace.Traces) error
	AddLogs(ld plog.Logs) error
}

// Options say where to listen. Addresses without a host are of this machine only.
type Options struct {
	GRPC, HTTP string // "" and ":0" are free ports
	Sink       Sink
	MaxBytes   int // of one message, decompressed; 0: 16 MiB
}

// Limits of the receiver.
const (
	defaultMaxBytes = 16 << 20
	retryAfter      = time.Second     // what a sender is told that is to come again
	patience        = time.Second     // how long a sender waits for its turn
	headerTimeout   = 5 * time.Second // and for those who send slowly
	bodyTimeout     = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	stopTimeout     = 3 * time.Second
)

// Receiver listens.
type Receiver struct {
	grpcServer *grpc.Server
	httpServer *http.Server
	grpcAddr   string
	httpAddr   string
}

// Listen begins to receive.
func Listen(ctx context.Context, opts Options) (*Receiver, error) {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	in := &intake{sink: opts.Sink, maxBytes: opts.MaxBytes, turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
	forGRPC, err := listen(ctx, opts.GRPC)
	if err != nil {
		return nil, err
	}
	forHTTP, err := listen(ctx, opts.HTTP)
	if err != nil {
		return nil, errors.Join(err, forGRPC.Close())
	}
	r := &Receiver{
		grpcAddr: forGRPC.Addr().String(), httpAddr: forHTTP.Addr().String(),
		grpcServer: grpc.NewServer(grpc.MaxRecvMsgSize(opts.MaxBytes), grpc.ConnectionTimeout(headerTimeout)),
		httpServer: &http.Server{
			Handler: in.handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		},
	}
	ptraceotlp.RegisterGRPCServer(r.grpcServer, &traceServer{in: in})
	plogotlp.RegisterGRPCServer(r.grpcServer, &logServer{in: in})
	go func() { _ = r.grpcServer.Serve(forGRPC) }()
	go func() { _ = r.httpServer.Serve(forHTTP) }()
	return r, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	switch {
	case address == "":
		host, port = "", "0"
	case err != nil:
		return nil, fmt.Errorf("listen for OTLP on %q: %w", address, err)
	}
	if host == "" {
		host = "127.0.0.1" // what is open to the network is so by an explicit address
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("listen for OTLP: %w", err)
	}
	return l, nil
}

// GRPC is the address for OTLP over gRPC.
func (r *Receiver) GRPC() string { return r.grpcAddr }

// HTTP is the address for OTLP over HTTP.
func (r *Receiver) HTTP() string { return r.httpAddr }

// Close ends receiving; what has come is handed on first.
func (r *Receiver) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, r.grpcServer.Stop)
	defer stop()
	r.grpcServer.GracefulStop()
	if err := r.httpServer.Shutdown(ctx); err != nil {
		return r.httpServer.Close()
	}
	return nil
}

// intake is what both protocols share: a turn for each message, since taking one
// apart costs memory.
type intake struct {
	sink     Sink
	maxBytes int
	turns    chan struct{}
}

func (in *intake) turn(ctx context.Context) (done func(), err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case in.turns <- struct{}{}:
		return func() { <-in.turns }, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (in *intake) traces(ctx context.Context, td ptrace.Traces) error {
	done, err := in.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	return in.sink.AddTraces(td)
}

func (in *intake) logs(ctx context.Context, ld plog.Logs) error {
	done, err := in.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	return in.sink.AddLogs(ld)
}
