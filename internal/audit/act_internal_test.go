package audit

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// changing are the requests of all methods of the control API that change
// something, as their contracts say.
func changing(t *testing.T) map[string]proto.Message {
	t.Helper()
	out := map[string]proto.Message{}
	for _, file := range []protoreflect.FileDescriptor{
		fleetv1.File_warren_fleet_v1_fleet_proto, settingsv1.File_warren_settings_v1_settings_proto, settingsv1.File_warren_settings_v1_policies_proto,
		contractsv1.File_warren_contracts_v1_contracts_proto, observev1.File_warren_observe_v1_alerts_proto, observev1.File_warren_observe_v1_audit_proto,
		observev1.File_warren_observe_v1_experiments_proto, observev1.File_warren_observe_v1_logs_proto, observev1.File_warren_observe_v1_metrics_proto,
		observev1.File_warren_observe_v1_profiles_proto, observev1.File_warren_observe_v1_traces_proto, eventsv1.File_warren_events_v1_letters_proto,
		shardsv1.File_warren_shards_v1_shards_proto, txnv1.File_warren_txn_v1_txn_proto,
	} {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			if strings.HasPrefix(string(s.FullName()), "warren.txn.") && s.Name() != "OperatorService" {
				continue // what services serve for one another
			}
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				options, _ := m.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS {
					continue
				}
				kind, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
				if err != nil {
					t.Fatal(err)
				}
				out[string(m.FullName())] = kind.New().Interface()
			}
		}
	}
	delete(out, "warren.observe.v1.AuditService.Record") // which is the audit
	return out
}

// signRequest writes into a request who asks, and why.
func signRequest(t *testing.T, name string, in proto.Message) {
	t.Helper()
	m := in.ProtoReflect()
	if by := m.Descriptor().Fields().ByName("by"); by != nil {
		m = m.Mutable(by).Message()
	}
	for field, value := range map[protoreflect.Name]string{"author": "ada", "reason": "to see"} {
		f := m.Descriptor().Fields().ByName(field)
		if f == nil {
			t.Fatalf("%s does not take %s", name, field)
		}
		m.Set(f, protoreflect.ValueOfString(value))
	}
}

// TestEveryChangeIsInTheAudit goes through the contracts: what may change
// something takes who does it and why, and has a name.
func TestEveryChangeIsInTheAudit(t *testing.T) {
	all := changing(t)
	const least = 20
	if len(all) < least {
		t.Fatalf("only %d methods change something: %v", len(all), all)
	}
	for name, in := range all {
		signRequest(t, name, in)
		a, ok := actOf(t.Context(), in, nil)
		if !ok || a.name == "" || a.author != "ada" || a.reason != "to see" {
			t.Errorf("%s: %+v, %t", name, a, ok)
		}
	}
	for _, in := range []proto.Message{&fleetv1.ListRequest{}, &settingsv1.DiffRequest{}, &observev1.ExperimentServiceStartRequest{DryRun: true}, &eventsv1.DropRequest{DryRun: true}} {
		if a, ok := actOf(t.Context(), in, nil); ok {
			t.Errorf("%T changes nothing: %+v", in, a)
		}
	}
}

// TestActs says what was done to what, without values.
func TestActs(t *testing.T) {
	value := "pa55word"
	to := metadata.NewIncomingContext(t.Context(), metadata.Pairs("warren-to", "order"))
	edits := []*settingsv1.Edit{{Name: "a.key", New: &value}, {Name: "a.pause", Scope: "order"}}
	before := timestamppb.New(time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC))
	for _, c := range []struct {
		req, resp any
		want      string
	}{
		{&fleetv1.RestartRequest{}, nil, "restart: all services"},
		{&fleetv1.RestartRequest{Services: []string{"order", "payment"}}, nil, "restart: order, payment"},
		{&fleetv1.ScaleRequest{Service: "order", Replicas: 3}, nil, "scale: order to 3"},
		{&fleetv1.KillRequest{Instance: "order/1"}, nil, "kill: order/1"},
		{&fleetv1.KillRequest{Instance: "order/1", Signal: "term"}, nil, "drain: order/1"},
		{&fleetv1.KillRequest{Instance: "order/1", Signal: "SIGSTOP"}, nil, "kill: order/1 SIGSTOP"},
		{&fleetv1.StopRequest{}, nil, "down: the system"},
		{&settingsv1.SetRequest{Edits: edits}, nil, "set: a.key on all, a.pause on order"},
		{&settingsv1.SetRequest{Edits: edits[1:]}, nil, "unset: a.pause on order"},
		{&settingsv1.RollbackRequest{Revision: 7}, nil, "rollback: revision 7"},
		{
			&observev1.SilenceRequest{Duration: durationpb.New(time.Hour), Matchers: []*observev1.Matcher{{Label: "a", Value: "b"}, {Label: "c", Value: "d.*", Regex: true, Negative: true}}}, nil,
			"silence: a=b c!~d.* for 1h0m0s",
		},
		{&observev1.TakeProfileRequest{Instance: "order/1"}, nil, "profile: order/1"},
		{
			&observev1.ExperimentServiceStartRequest{}, &observev1.ExperimentServiceStartResponse{Experiment: &observev1.Experiment{Name: "latency-order", Radius: &observev1.BlastRadius{Services: []string{"order"}}}},
			"start experiment: latency-order at order",
		},
		{&contractsv1.CallRequest{Method: "/a.B/C", Json: value}, &contractsv1.CallResponse{}, "call: a.B/C"},
		{&contractsv1.CallRequest{Method: "/a.B/C"}, &contractsv1.CallResponse{Safe: true}, "read: a.B/C"},
		{&txnv1.SkipRequest{Gid: "checkout/1", Branch: "hold"}, nil, "skip: checkout/1 hold"},
		{&eventsv1.EditRequest{Letter: "L1", Json: value}, nil, "edit: order letter L1"},
		{&eventsv1.ReplayRequest{Filter: &eventsv1.Filter{Letter: "L1"}}, &eventsv1.ReplayResponse{Count: 1}, "replay: order letter L1"},
		{
			&eventsv1.DropRequest{Filter: &eventsv1.Filter{Topic: "a.Done", Reason: "too late", Before: before}}, &eventsv1.DropResponse{Count: 3},
			"drop: order 3 letters, event a.Done, because too late, before 2026-11-22T01:02:03Z",
		},
		{&shardsv1.MoveRequest{Shard: 7, Database: "postgres://u:" + value + "@h/d"}, nil, "move: order shard 7"},
	} {
		a, ok := actOf(to, c.req, c.resp)
		if got := a.name + ": " + a.target; !ok || got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestOutcomes tells errors, but not of what somebody sent to try it.
func TestOutcomes(t *testing.T) {
	failed := status.Error(codes.InvalidArgument, "no such thing as 4711")
	for _, c := range []struct {
		req, resp any
		err       error
		want      string
	}{
		{&fleetv1.KillRequest{}, nil, nil, ""},
		{&fleetv1.KillRequest{}, nil, failed, "no such thing as 4711"},
		{&contractsv1.CallRequest{}, &contractsv1.CallResponse{Code: "OK"}, nil, ""},
		{&contractsv1.CallRequest{}, &contractsv1.CallResponse{Code: "NOT_FOUND", Message: "no 4711"}, nil, "NOT_FOUND"},
		{&contractsv1.CallRequest{}, nil, failed, "InvalidArgument"},
	} {
		if got := outcome(c.req, c.resp, c.err); got != c.want {
			t.Errorf("%T: %q, want %q", c.req, got, c.want)
		}
	}
	if names := []string{Console, CLI, Experiment}; len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("ways that can't be told apart: %v", names)
	}
}
