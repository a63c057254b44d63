package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/node"
)

// listen serves the control socket. Only the folder's owner can reach it,
// which is the access control of this contract.
func (s *Supervisor) listen() error {
	path := node.ControlSocket(s.data.dir)
	_ = os.Remove(path) // of a supervisor that was killed; the lock is ours
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("listen on the control socket: %w", err), l.Close())
	}
	fleetv1.RegisterFleetServiceServer(s.control, &control{supervisor: s})
	contractsv1.RegisterContractServiceServer(s.control, &contractService{supervisor: s})
	go func() { _ = s.control.Serve(l) }()
	return nil
}

// control answers the command.
type control struct {
	fleetv1.UnimplementedFleetServiceServer
	supervisor *Supervisor
}

func (c *control) List(ctx context.Context, req *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	return c.supervisor.List(ctx, req.GetServices()...)
}

func (c *control) Restart(ctx context.Context, req *fleetv1.RestartRequest) (*fleetv1.RestartResponse, error) {
	names := req.GetServices()
	if len(names) == 0 {
		names = c.supervisor.fleet.Names()
	}
	if _, err := c.supervisor.instances(names); err != nil {
		return nil, err // none is restarted when one is mistyped
	}
	for _, name := range names {
		if err := c.supervisor.fleet.Restart(ctx, name); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	c.supervisor.waitRouted(ctx)
	instances, err := c.supervisor.instances(req.GetServices())
	return &fleetv1.RestartResponse{Instances: instances}, err
}

func (c *control) Scale(_ context.Context, req *fleetv1.ScaleRequest) (*fleetv1.ScaleResponse, error) {
	if !slices.Contains(c.supervisor.fleet.Names(), req.GetService()) {
		return nil, c.supervisor.unknown(req.GetService())
	}
	if err := c.supervisor.fleet.Scale(req.GetService(), int(req.GetReplicas())); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	instances, err := c.supervisor.instances([]string{req.GetService()})
	return &fleetv1.ScaleResponse{Instances: instances}, err
}

func (c *control) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
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
	if err := c.supervisor.fleet.Kill(req.GetInstance(), sig); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &fleetv1.KillResponse{}, nil
}

func (c *control) Wait(ctx context.Context, req *fleetv1.WaitRequest) (*fleetv1.WaitResponse, error) {
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	if err := c.supervisor.waitFor(ctx, req.GetServices()...); err != nil {
		return nil, status.Error(codes.DeadlineExceeded, err.Error())
	}
	instances, err := c.supervisor.instances(req.GetServices())
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

func (c *control) Stop(context.Context, *fleetv1.StopRequest) (*fleetv1.StopResponse, error) {
	c.supervisor.end(nil)
	return &fleetv1.StopResponse{}, nil
}
