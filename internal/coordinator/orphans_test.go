package coordinator

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// twoPhase opens a two-phase commit of which the service "payment" prepares parts.
func (n *node) twoPhase(gid string, branches ...string) {
	n.w.Helper()
	_, err := n.Prepare(n.w.Context(), &txnv1.PrepareRequest{Transaction: &txnv1.PrepareRequest_TwoPhase{TwoPhase: &txnv1.Open{Gid: gid, Name: "xa"}}})
	for _, b := range branches {
		if err == nil {
			_, err = n.Register(n.w.Context(), &txnv1.RegisterRequest{Gid: gid, Branch: b, Method: "/shop.S/" + b, Service: "payment"})
		}
	}
	if err != nil {
		n.w.Fatal(err)
	}
}

// What is prepared and has no transaction that is going on is reported, by a
// coordinator that starts, and left as it is.
func TestD40OrphansAreReportedAndLeft(t *testing.T) {
	each(t, func(w *world) {
		var finished []string
		w.people.finish = func(req *txnv1.FinishRequest) error {
			finished = append(finished, req.GetGid())
			return nil
		}
		first := w.start(Options{Node: "first"})
		first.twoPhase("going on", "a")
		first.twoPhase("ended", "a")
		if _, err := first.Commit(t.Context(), &txnv1.CommitRequest{Gid: "ended", Wait: true}); err != nil {
			t.Fatal(err)
		}
		first.drain()
		part := func(gid, branch string) *txnv1.PreparedResponse_Prepared {
			return &txnv1.PreparedResponse_Prepared{Gid: gid, Branch: branch}
		}
		asked := 0
		w.people.prepared = func() (*txnv1.PreparedResponse, error) {
			asked++
			list := []*txnv1.PreparedResponse_Prepared{part("going on", "a"), part("ended", "a"), part("unheard of", "a"), part("", "")}
			if asked%2 == 1 {
				list = append(list, part("just being finished", "a"))
			}
			return &txnv1.PreparedResponse{Prepared: list}, nil
		}
		logs, registry := &bytes.Buffer{}, prometheus.NewRegistry()
		second := w.start(Options{Node: "second", Metrics: registry, Logger: slog.New(slog.NewTextHandler(logs, nil))})
		w.until("the second coordinator to ask", func() bool { return testutil.ToFloat64(second.engine.metrics.orphans) == 3 })
		v, err := second.Get(t.Context(), &txnv1.GetRequest{Gid: "going on"})
		if err != nil || v.GetState() != txnv1.State_STATE_PREPARED || strings.Join(finished, " ") != "ended" {
			t.Errorf("%v, %v; finished %q", v, err, finished)
		}
		second.drain()
		for gid, want := range map[string]int{`gid=ended `: 1, `gid="unheard of"`: 1, `gid="" `: 1, `gid="going on"`: 0, `gid="just being finished"`: 0} {
			if got := strings.Count(logs.String(), gid); got != want {
				t.Errorf("%s is reported %d times; want %d\n%s", gid, got, want, logs)
			}
		}
	})
}
