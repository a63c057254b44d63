package console_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// experimentsWorld has one experiment that runs, and some that are over.
type experimentsWorld struct {
	observev1.UnimplementedExperimentServiceServer
	world *world

	mu      sync.Mutex
	running []*observev1.Experiment
	lists   int // how often it was asked
}

func newExperimentsWorld(w *world) *experimentsWorld {
	return &experimentsWorld{world: w, running: []*observev1.Experiment{{
		Name: "crashes", Fault: &observev1.Fault{Kind: &observev1.Fault_Kill{Kill: &observev1.KillFault{Service: "catalog", Every: durationpb.New(20 * time.Second)}}},
		Reason: "does the list of products stay?", Author: "grace", Started: ago(3 * time.Minute), Ends: ago(-7 * time.Minute),
		State: observev1.Experiment_STATE_RUNNING, Kills: 9,
	}}}
}

func (x *experimentsWorld) List(_ context.Context, req *observev1.ExperimentServiceListRequest) (*observev1.ExperimentServiceListResponse, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lists++
	out := &observev1.ExperimentServiceListResponse{Experiments: slices.Clone(x.running)}
	if req.GetEnded() {
		out.Experiments = append(out.Experiments, &observev1.Experiment{
			Name: "payment-slow", Reason: "checkout holds when payment is slow", Author: "ada", Started: ago(3 * time.Hour), Ends: ago(3*time.Hour - 2*time.Minute),
			Fault: &observev1.Fault{Kind: &observev1.Fault_Latency{Latency: &observev1.LatencyFault{
				Service: "payment", Method: "/shop.payment.v1.PaymentService/Hold", Delay: durationpb.New(2 * time.Second), Jitter: durationpb.New(200 * time.Millisecond), Share: 0.5,
			}}}, State: observev1.Experiment_STATE_ENDED,
		}, &observev1.Experiment{
			Name: "partition-order-catalog", Reason: "are orders kept?", Author: "ada", Started: ago(26 * time.Hour), Ends: ago(26*time.Hour - 5*time.Minute),
			Fault: &observev1.Fault{Kind: &observev1.Fault_Partition{Partition: &observev1.PartitionFault{From: "order", To: "catalog"}}},
			State: observev1.Experiment_STATE_STOPPED, Stopped: ago(26*time.Hour - time.Minute), StoppedBy: "grace", StopReason: "the list of orders was empty",
		})
	}
	return out, nil
}

// expire lets the time of one that runs be over.
func (x *experimentsWorld) expire(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running = slices.DeleteFunc(x.running, func(e *observev1.Experiment) bool { return e.GetName() == name })
}

func (x *experimentsWorld) Start(_ context.Context, req *observev1.ExperimentServiceStartRequest) (*observev1.ExperimentServiceStartResponse, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	lasts := 5 * time.Minute
	if req.GetDuration() != nil {
		lasts = req.GetDuration().AsDuration()
	}
	if lasts > time.Hour {
		return nil, status.Errorf(codes.InvalidArgument, "for: want more than 0 and at most 1h, as the setting experiment.duration.max says; got %s", lasts)
	}
	f := req.GetFault()
	service := f.GetLatency().GetService() + f.GetError().GetService() + f.GetKill().GetService() + f.GetPartition().GetTo()
	e := &observev1.Experiment{
		Name: req.GetName(), Fault: f, Reason: req.GetReason(), Author: req.GetAuthor(), Started: timestamppb.Now(), Ends: ago(-lasts),
		Radius: &observev1.BlastRadius{
			Services: []string{service}, Instances: []string{service + "/1", service + "/2"}, Callers: []string{"coordinator", "order"},
			Methods: []string{"shop.payment.v1.PaymentService/Hold", "shop.payment.v1.PaymentService/Capture"},
		},
	}
	if e.GetName() == "" {
		e.Name = strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", f.GetKind()), "*observev1.Fault_")) + "-" + service
	}
	if f.GetKill() != nil {
		e.Radius.Warnings = []string{service + " has one instance: until it is back, nobody serves it"}
	}
	if method := f.GetLatency().GetMethod(); method != "" && !strings.HasPrefix(method, "shop.payment.v1.PaymentService/") {
		return nil, status.Errorf(codes.NotFound, "method: %s has no method %s; it has %s", service, method, strings.Join(e.GetRadius().GetMethods(), ", "))
	}
	if !req.GetDryRun() {
		e.State = observev1.Experiment_STATE_RUNNING
		x.running = append([]*observev1.Experiment{e}, x.running...)
		x.world.did(fmt.Sprintf("start %s for %s by %s: %s", e.GetName(), lasts, e.GetAuthor(), e.GetReason()))
	}
	return &observev1.ExperimentServiceStartResponse{Experiment: e}, nil
}

func (x *experimentsWorld) Stop(_ context.Context, req *observev1.ExperimentServiceStopRequest) (*observev1.ExperimentServiceStopResponse, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, e := range x.running {
		if e.GetName() == req.GetName() {
			x.running = append(x.running[:i:i], x.running[i+1:]...)
			x.world.did("stop " + req.GetName() + " by " + req.GetAuthor() + ": " + req.GetReason())
			return &observev1.ExperimentServiceStopResponse{Experiment: e}, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "no experiment %q; none runs", req.GetName())
}
