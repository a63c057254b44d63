package console

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// TestVerdict says how the system is, and since when.
func TestVerdict(t *testing.T) {
	now := time.Now()
	before := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }
	fleet := func(states ...fleetv1.State) *fleetv1.ListResponse {
		out := &fleetv1.ListResponse{System: &fleetv1.System{Started: before(2 * time.Hour)}}
		for _, s := range states {
			out.Instances = append(out.Instances, &fleetv1.Instance{State: s})
		}
		return out
	}
	ill := fleet(fleetv1.State_STATE_READY)
	ill.Engines = []*fleetv1.Engine{{Kind: "etcd", Problem: "its disk is full"}}
	died := happened{Time: now.Add(-5 * time.Minute), Tone: frame.Bad, What: "order/1 ended"}
	fires := &observev1.Alert{Name: "Burns", Severity: "page", State: observev1.Alert_STATE_FIRING, Since: before(3 * time.Minute), Labels: map[string]string{"service": "order"}}
	older := &observev1.Alert{Name: "Parked", Severity: "page", State: observev1.Alert_STATE_FIRING, Since: before(9 * time.Minute), Annotations: map[string]string{"summary": "a saga waits"}}
	silenced := &observev1.Alert{Name: "Burns", Severity: "page", State: observev1.Alert_STATE_FIRING, Silence: "s1", Since: before(time.Minute)}
	always := &observev1.Alert{Name: "Watchdog", Severity: "none", State: observev1.Alert_STATE_FIRING, Since: before(time.Minute)}
	for name, c := range map[string]struct {
		fleet       *fleetv1.ListResponse
		alerts      []*observev1.Alert
		events      []happened
		word, since string
	}{
		"well from the start":   {fleet(fleetv1.State_STATE_READY), []*observev1.Alert{silenced, always}, nil, "All is well", "since it was started 2 h 00 min ago"},
		"well again":            {fleet(fleetv1.State_STATE_READY), nil, []happened{{Time: now, Tone: frame.Busy, What: "a change"}, died}, "All is well", "the last trouble was 5 min 00 s ago: order/1 ended"},
		"an alert has ended":    {fleet(fleetv1.State_STATE_READY), nil, []happened{{Time: now.Add(-time.Minute), Tone: frame.Good, What: "Burns fires no more", Ended: true}, died}, "All is well", "1 min 00 s ago: Burns fires no more"},
		"one fires":             {fleet(fleetv1.State_STATE_READY), []*observev1.Alert{fires}, nil, "1 alert firing", "for 3 min 00 s: Burns · order"},
		"two fire":              {fleet(fleetv1.State_STATE_READY), []*observev1.Alert{fires, older}, nil, "2 alerts firing", "for 9 min 00 s: a saga waits"},
		"one starts":            {fleet(fleetv1.State_STATE_STARTING, fleetv1.State_STATE_READY), nil, []happened{died}, "Not everything is ready", "1 of 2 ready; the last trouble was 5 min 00 s ago"},
		"one crashes":           {fleet(fleetv1.State_STATE_CRASH_LOOP), nil, nil, "Something keeps crashing", "0 of 1 ready"},
		"an engine is not well": {ill, nil, nil, "etcd is not well", "its disk is full"},
	} {
		status, since := verdict(c.fleet, c.alerts, c.events, now)
		if status.Word != c.word || !strings.Contains(since, c.since) {
			t.Errorf("%s: %s, %s", name, status.Word, since)
		}
	}
}
