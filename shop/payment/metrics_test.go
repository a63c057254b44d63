package main

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"

	"github.com/gowarren/warren/rpc"
)

func TestStepsOfPaymentsAreCounted(t *testing.T) {
	m, err := newMeter(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk is full")
	for _, err := range []error{nil, nil, &rpc.Error{Code: codes.FailedPrecondition}, broken} {
		if got := m.count("refund", err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	for outcome, want := range map[string]float64{"done": 2, "refused": 1, "failed": 1} {
		if got := testutil.ToFloat64(m.payments.WithLabelValues("refund", outcome)); got != want {
			t.Errorf("%v refunds are %s, want %v", got, outcome, want)
		}
	}
}
