package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/rpc"
)

// meter counts what becomes of payments.
type meter struct{ payments *prometheus.CounterVec }

func newMeter(metrics prometheus.Registerer) (*meter, error) {
	m := &meter{payments: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "shop_payments_total", Help: "Steps of payments, by what became of them; attempts that are repeated count again.",
	}, []string{"operation", "outcome"})}
	for _, operation := range []string{"hold", "void", "capture", "refund"} { // what never happened is 0
		for _, outcome := range []string{"done", "refused", "failed"} {
			m.payments.WithLabelValues(operation, outcome)
		}
	}
	if err := metrics.Register(m.payments); err != nil {
		return nil, fmt.Errorf("register metrics of payments: %w", err)
	}
	return m, nil
}

// count notes how a step ended, and returns its error.
func (m *meter) count(operation string, err error) error {
	outcome := "done"
	if err != nil {
		switch rpc.FromError(err).Code {
		case codes.FailedPrecondition, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists:
			outcome = "refused"
		default:
			outcome = "failed"
		}
	}
	m.payments.WithLabelValues(operation, outcome).Inc()
	return err
}
