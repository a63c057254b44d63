package barrier

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
)

// Options say what a Barrier needs. Only Database is required.
type Options struct {
	// Database returns where the method keeps what it does with the request.
	Database func(ctx context.Context, fullMethod string, req proto.Message) (*store.DB, error)
	// Databases returns all that Database may return: what is kept too long is
	// deleted there, and transactions are looked for there. Nil: none.
	Databases func() []*store.DB
	// Manual names methods, as "/shop.payment.v1.PaymentService/Hold", whose
	// handlers begin their transactions themselves and call [Do] in them.
	Manual []string
	// TwoPhase lets the service take part in two-phase commits, which hold locks
	// until the coordinator has decided, however long that takes.
	TwoPhase bool
	// Settings are the live numbers; nil: the defaults.
	Settings *config.Settings
	// Logger; nil: slog.Default.
	Logger *slog.Logger
	// Metrics gets the warren_txn_barrier_… metrics; nil: none.
	Metrics prometheus.Registerer
}

// Barrier stands before the handlers of a service. It is safe for concurrent use.
type Barrier struct {
	opts Options
}

// New returns a barrier.
func New(opts Options) *Barrier {
	return &Barrier{opts: opts}
}
