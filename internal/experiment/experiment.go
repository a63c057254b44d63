// Package experiment puts faults into a running system, for a time, and takes
// them back: by the live settings that every process follows, and by killing
// instances. It knows the system by the same API as everybody else.
package experiment

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
)

// patience bounds each question to the system, and each change of its settings.
const patience = 10 * time.Second

// Options say what a Runner needs.
type Options struct {
	// Centre is where faults are written.
	Centre *config.Centre
	// Settings are the runner's own.
	Settings *config.Settings
	// API tells of services and contracts, and kills instances.
	API grpc.ClientConnInterface
	// Path is the file in which experiments are kept.
	Path string
	// Log is told what was done to the system, by whom and why.
	Log *slog.Logger
}

// Runner runs experiments. It is safe for concurrent use.
type Runner struct {
	observev1.UnimplementedExperimentServiceServer
	opts    Options
	limits  limits
	context context.Context //nolint:containedctx // that of the runner's life
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu   sync.Mutex // also over each change of faults
	all  []*observev1.Experiment
	live map[string]context.CancelFunc // by name
}

type limits struct {
	duration, most *config.Value[time.Duration]
	running        *config.Value[int]
}

// Open returns a runner that goes on with the experiments that another left
// behind, as far as their time is not over.
func Open(opts Options) (*Runner, error) {
	r := &Runner{opts: opts, live: map[string]context.CancelFunc{}}
	r.limits = limits{
		duration: config.Watch(opts.Settings, settingDuration, config.Scope{}),
		most:     config.Watch(opts.Settings, settingDurationMax, config.Scope{}),
		running:  config.Watch(opts.Settings, settingRunning, config.Scope{}),
	}
	var err error
	if r.all, err = load(opts.Path, opts.Log); err != nil {
		return nil, err
	}
	r.context, r.cancel = context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all {
		if e.GetState() == observev1.Experiment_STATE_RUNNING {
			r.run(e)
		}
	}
	return r, nil
}

// Close ends the runner. The faults of experiments that run end when their time
// is over, and with the processes.
func (r *Runner) Close() error {
	r.cancel()
	r.done.Wait()
	return nil
}

// List implements the contract.
func (r *Runner) List(_ context.Context, req *observev1.ExperimentServiceListRequest) (*observev1.ExperimentServiceListResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &observev1.ExperimentServiceListResponse{}
	for _, e := range slices.Backward(r.all) {
		if req.GetEnded() || e.GetState() == observev1.Experiment_STATE_RUNNING {
			out.Experiments = append(out.Experiments, proto.CloneOf(e))
		}
	}
	return out, nil
}

// Start implements the contract.
func (r *Runner) Start(ctx context.Context, req *observev1.ExperimentServiceStartRequest) (*observev1.ExperimentServiceStartResponse, error) {
	duration, err := r.check(req)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	radius, err := r.radius(ctx, req.GetFault())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &observev1.Experiment{
		Name: req.GetName(), Fault: proto.CloneOf(req.GetFault()), Reason: req.GetReason(), Author: req.GetAuthor(), Radius: radius,
	}
	if err := r.admit(e); err != nil {
		return nil, err
	}
	now := time.Now()
	e.Started, e.Ends = timestamppb.New(now), timestamppb.New(now.Add(duration))
	if req.GetDryRun() {
		return &observev1.ExperimentServiceStartResponse{Experiment: e}, nil
	}
	if err := Inject(ctx, r.opts.Centre, e); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	e.State = observev1.Experiment_STATE_RUNNING
	r.all = append(r.all, e)
	r.save()
	r.run(e)
	r.opts.Log.Warn("experiment started", "experiment", e.GetName(), "fault", Describe(e.GetFault()), "author", e.GetAuthor(),
		"reason", e.GetReason(), "ends", e.GetEnds().AsTime(), "services", radius.GetServices(), "instances", radius.GetInstances())
	return &observev1.ExperimentServiceStartResponse{Experiment: proto.CloneOf(e)}, nil
}

// admit names the experiment, and refuses one too many. The lock is held.
func (r *Runner) admit(e *observev1.Experiment) error {
	if most := r.limits.running.Get(); len(r.live) >= most {
		return status.Errorf(codes.ResourceExhausted,
			"%d experiments run, and the setting experiment.running allows no more: stop one, or raise it", len(r.live))
	}
	if e.GetName() != "" {
		if r.live[e.GetName()] != nil {
			return status.Errorf(codes.AlreadyExists, "name: an experiment called %s runs: give another name, or stop that one", e.GetName())
		}
		return nil
	}
	base := defaultName(e.GetFault())
	base = base[:min(len(base), mostName-len("-1000"))]
	for n := 1; ; n++ {
		if e.Name = base; n > 1 {
			e.Name = fmt.Sprintf("%s-%d", base, n)
		}
		if r.live[e.GetName()] == nil {
			return nil
		}
	}
}

// Stop implements the contract.
func (r *Runner) Stop(ctx context.Context, req *observev1.ExperimentServiceStopRequest) (*observev1.ExperimentServiceStopResponse, error) {
	if err := checkReason(req.GetReason()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(req.GetName())
	if e == nil {
		return nil, status.Error(codes.NotFound, r.unknown(req.GetName()))
	}
	if e.GetState() == observev1.Experiment_STATE_RUNNING {
		if err := Withdraw(ctx, r.opts.Centre, e, req.GetAuthor(), req.GetReason()); err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
		e.Stopped, e.StoppedBy, e.StopReason = timestamppb.Now(), req.GetAuthor(), req.GetReason()
		r.end(e, observev1.Experiment_STATE_STOPPED)
		r.opts.Log.Warn("experiment stopped", "experiment", e.GetName(), "author", req.GetAuthor(), "reason", req.GetReason())
	}
	return &observev1.ExperimentServiceStopResponse{Experiment: proto.CloneOf(e)}, nil
}

// find returns the latest experiment of a name. The lock is held.
func (r *Runner) find(name string) *observev1.Experiment {
	for _, e := range slices.Backward(r.all) {
		if e.GetName() == name {
			return e
		}
	}
	return nil
}

func (r *Runner) unknown(name string) string {
	var running []string
	for n := range r.live {
		running = append(running, n)
	}
	if len(running) == 0 {
		return fmt.Sprintf("name: no experiment %q; none runs", name)
	}
	slices.Sort(running)
	return fmt.Sprintf("name: no experiment %q; there are %s", name, strings.Join(running, ", "))
}

// run looks after an experiment until its end. The lock is held.
func (r *Runner) run(e *observev1.Experiment) {
	ctx, cancel := context.WithCancel(r.context)
	r.live[e.GetName()] = cancel
	r.done.Go(func() {
		over := time.NewTimer(time.Until(e.GetEnds().AsTime()))
		defer over.Stop()
		kills, stop := killing(e.GetFault())
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-kills:
				r.kill(ctx, e)
			case <-over.C:
				r.finish(ctx, e)
				return
			}
		}
	})
}

// finish takes back what has ended already by its own word.
func (r *Runner) finish(ctx context.Context, e *observev1.Experiment) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.GetState() != observev1.Experiment_STATE_RUNNING {
		return // stopped in this moment
	}
	if err := Withdraw(ctx, r.opts.Centre, e, e.GetAuthor(), "its time is over"); err != nil { // over it is all the same
		r.opts.Log.Warn("settings of an experiment that ended not removed", "experiment", e.GetName(), "error", err)
	}
	r.end(e, observev1.Experiment_STATE_ENDED)
	r.opts.Log.Warn("experiment ended", "experiment", e.GetName(), "kills", e.GetKills())
}

// end remembers that an experiment is over. The lock is held.
func (r *Runner) end(e *observev1.Experiment, state observev1.Experiment_State) {
	e.State = state
	if cancel := r.live[e.GetName()]; cancel != nil {
		cancel()
		delete(r.live, e.GetName())
	}
	r.save()
}
