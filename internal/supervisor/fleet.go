package supervisor

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
)

// fleetService answers for the processes.
type fleetService struct {
	fleetv1.UnimplementedFleetServiceServer
	supervisor *Supervisor
}

func (f *fleetService) List(ctx context.Context, req *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	resp, err := f.supervisor.List(ctx, req.GetServices()...)
	if err == nil {
		f.supervisor.check(ctx, resp.GetInstances(), req.GetChecks())
	}
	return resp, err
}

func (f *fleetService) Restart(ctx context.Context, req *fleetv1.RestartRequest) (*fleetv1.RestartResponse, error) {
	names := req.GetServices()
	if len(names) == 0 {
		names = f.supervisor.fleet.Names()
	}
	if _, err := f.supervisor.instances(names); err != nil {
		return nil, err // none is restarted when one is mistyped
	}
	for _, name := range names {
		if err := f.supervisor.fleet.Restart(ctx, name); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	f.supervisor.waitRouted(ctx)
	instances, err := f.supervisor.instances(req.GetServices())
	return &fleetv1.RestartResponse{Instances: instances}, err
}

func (f *fleetService) Scale(_ context.Context, req *fleetv1.ScaleRequest) (*fleetv1.ScaleResponse, error) {
	if !slices.Contains(f.supervisor.fleet.Names(), req.GetService()) {
		return nil, f.supervisor.unknown(req.GetService())
	}
	if err := f.supervisor.fleet.Scale(req.GetService(), int(req.GetReplicas())); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	instances, err := f.supervisor.instances([]string{req.GetService()})
	return &fleetv1.ScaleResponse{Instances: instances}, err
}

func (f *fleetService) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
	sig := syscall.SIGKILL
	if name := strings.ToUpper(req.GetSignal()); name != "" {
		if !strings.HasPrefix(name, "SIG") {
			name = "SIG" + name
		}
		if sig = unix.SignalNum(name); sig == 0 {
			return nil, status.Errorf(codes.InvalidArgument, "kill %s: unknown signal %q; for instance SIGKILL, SIGTERM, SIGSTOP",
				req.GetInstance(), req.GetSignal())
		}
	}
	if err := f.supervisor.fleet.Kill(req.GetInstance(), sig); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &fleetv1.KillResponse{}, nil
}

func (f *fleetService) Wait(ctx context.Context, req *fleetv1.WaitRequest) (*fleetv1.WaitResponse, error) {
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	if err := f.supervisor.waitFor(ctx, req.GetServices()...); err != nil {
		return nil, status.Error(codes.DeadlineExceeded, err.Error())
	}
	instances, err := f.supervisor.instances(req.GetServices())
	return &fleetv1.WaitResponse{Instances: instances}, err
}

// beforeDeadline ends a little before the caller stops listening, so that it
// hears what was not ready.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	const most, share = 200 * time.Millisecond, 4
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(most, time.Until(deadline)/share)))
}

func (f *fleetService) Stop(context.Context, *fleetv1.StopRequest) (*fleetv1.StopResponse, error) {
	f.supervisor.end(nil)
	return &fleetv1.StopResponse{}, nil
}
