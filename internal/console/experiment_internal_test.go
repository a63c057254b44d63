package console

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// TestPresets begins with what there is: the shop's plans in the shop, others
// for the first service of another system.
func TestPresets(t *testing.T) {
	for services, want := range map[string]string{
		"catalog gateway inventory order payment": "Payment is slow, Payment fails now and then, The catalogue crashes, Orders are cut off from prices, Stock is slow for a few",
		"gateway payment":                         "Payment is slow, Payment fails now and then",
		"coordinator gateway greeting":            "greeting is slow, greeting fails now and then, greeting crashes, greeting can't be reached",
		"greeting":                                "greeting is slow, greeting fails now and then, greeting crashes",
		"gateway":                                 "",
	} {
		var names []string
		for _, one := range presets(strings.Fields(services), plannedFault{}) {
			names = append(names, one.Name)
		}
		if got := strings.Join(names, ", "); got != want {
			t.Errorf("%s: %s", services, got)
		}
	}
}

// TestOnceMore makes of an experiment the plan that would make it again.
func TestOnceMore(t *testing.T) {
	now := time.Now()
	for want, f := range map[string]*observev1.Fault{
		"delay=2s&fault=latency&for=5m&jitter=200ms&method=%2Fa.B%2FC&service=payment&share=12.5": {Kind: &observev1.Fault_Latency{Latency: &observev1.LatencyFault{
			Service: "payment", Method: "/a.B/C", Delay: durationpb.New(2 * time.Second), Jitter: durationpb.New(200 * time.Millisecond), Share: 0.125,
		}}},
		"code=INTERNAL&fault=error&for=5m&service=payment":  {Kind: &observev1.Fault_Error{Error: &observev1.ErrorFault{Service: "payment", Code: "INTERNAL"}}},
		"every=1m&fault=kill&for=5m&service=payment":        {Kind: &observev1.Fault_Kill{Kill: &observev1.KillFault{Service: "payment", Every: durationpb.New(time.Minute)}}},
		"caller=order&fault=partition&for=5m&service=stock": {Kind: &observev1.Fault_Partition{Partition: &observev1.PartitionFault{From: "order", To: "stock"}}},
	} {
		e := &observev1.Experiment{Fault: f, Started: timestamppb.New(now), Ends: timestamppb.New(now.Add(5 * time.Minute))}
		if got := planOfFault(e).query(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
