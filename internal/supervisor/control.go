package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry"
)

// socketName is the control socket in the data folder's run folder. Only the
// folder's owner can reach it, which is the access control of this contract.
const socketName = "control.sock"

// Dial connects to the supervisor of the system in a data folder.
func Dial(dataDir string) (*grpc.ClientConn, error) {
	path, err := filepath.Abs(filepath.Join(dataDir, "run", socketName))
	if err != nil {
		return nil, fmt.Errorf("find the running system: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no system runs in %s; start one with: warren up", dataDir)
	}
	return grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// listen serves the control socket.
func (s *Supervisor) listen() error {
	path := s.data.path("run", socketName)
	_ = os.Remove(path) // of a supervisor that was killed; the lock is ours
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("listen on the control socket: %w", err)
	}
	srv := grpc.NewServer()
	fleetv1.RegisterFleetServiceServer(srv, &control{supervisor: s})
	go func() { _ = srv.Serve(l) }()
	s.closers = append(s.closers, func() error { srv.Stop(); return nil })
	return nil
}

// control answers the command.
type control struct {
	fleetv1.UnimplementedFleetServiceServer
	supervisor *Supervisor
}

func (c *control) List(_ context.Context, req *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	return c.supervisor.List(req.GetServices()...)
}

// List describes the system and what runs where, of some services or of all.
func (s *Supervisor) List(services ...string) (*fleetv1.ListResponse, error) {
	instances, err := (&control{supervisor: s}).instances(services)
	if err != nil {
		return nil, err
	}
	return &fleetv1.ListResponse{System: s.describe(), Instances: instances, Engines: s.engines()}, nil
}

// Follow sends every line of every service from now on until ctx ends.
func (s *Supervisor) Follow(ctx context.Context) <-chan fleet.Line { return s.fleet.Follow(ctx) }

func (c *control) Logs(req *fleetv1.LogsRequest, stream grpc.ServerStreamingServer[fleetv1.LogsResponse]) error {
	f := c.supervisor.fleet
	tail := int(req.GetTail())
	if tail <= 0 {
		tail = 100
	}
	var follow <-chan fleet.Line
	if req.GetFollow() {
		follow = f.Follow(stream.Context()) // before the tail, so that no line falls between
	}
	names := req.GetServices()
	if len(names) == 0 {
		names = []string{""}
	}
	for _, name := range names {
		lines, err := f.Tail(name, tail)
		if err != nil {
			return status.Error(codes.NotFound, err.Error())
		}
		for _, line := range lines {
			if err := stream.Send(lineToProto(line)); err != nil {
				return err
			}
		}
	}
	for follow != nil {
		select {
		case line := <-follow:
			if !slices.ContainsFunc(names, func(n string) bool { return n == "" || n == line.Service || n == line.Instance }) {
				continue
			}
			if err := stream.Send(lineToProto(line)); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
	return nil
}

func lineToProto(l fleet.Line) *fleetv1.LogsResponse {
	return &fleetv1.LogsResponse{Instance: l.Instance, Time: timestamppb.New(l.Time), Line: l.Text}
}

func (c *control) Restart(ctx context.Context, req *fleetv1.RestartRequest) (*fleetv1.RestartResponse, error) {
	names := req.GetServices()
	if len(names) == 0 {
		names = c.supervisor.fleet.Names()
	}
	for _, name := range names {
		if err := c.supervisor.fleet.Restart(ctx, name); err != nil {
			return nil, status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	instances, err := c.instances(req.GetServices())
	return &fleetv1.RestartResponse{Instances: instances}, err
}

func (c *control) Scale(_ context.Context, req *fleetv1.ScaleRequest) (*fleetv1.ScaleResponse, error) {
	if err := c.supervisor.fleet.Scale(req.GetService(), int(req.GetReplicas())); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	instances, err := c.instances([]string{req.GetService()})
	return &fleetv1.ScaleResponse{Instances: instances}, err
}

func (c *control) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
	sig := syscall.SIGKILL
	if name := strings.ToUpper(req.GetSignal()); name != "" {
		if !strings.HasPrefix(name, "SIG") {
			name = "SIG" + name
		}
		if sig = unix.SignalNum(name); sig == 0 {
			return nil, status.Errorf(codes.InvalidArgument, "kill %s: unknown signal %q; for instance SIGKILL, SIGTERM, SIGSTOP", req.GetInstance(), req.GetSignal())
		}
	}
	if err := c.supervisor.fleet.Kill(req.GetInstance(), sig); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &fleetv1.KillResponse{}, nil
}

func (c *control) Wait(ctx context.Context, req *fleetv1.WaitRequest) (*fleetv1.WaitResponse, error) {
	if err := c.supervisor.fleet.Wait(ctx, req.GetServices()...); err != nil {
		return nil, status.Error(codes.DeadlineExceeded, err.Error())
	}
	instances, err := c.instances(req.GetServices())
	return &fleetv1.WaitResponse{Instances: instances}, err
}

func (c *control) Stop(context.Context, *fleetv1.StopRequest) (*fleetv1.StopResponse, error) {
	c.supervisor.end(nil)
	return &fleetv1.StopResponse{}, nil
}

// instances joins what the fleet knows of its processes with what the registry
// knows, and adds instances that joined by themselves.
func (c *control) instances(services []string) ([]*fleetv1.Instance, error) {
	wanted := func(service string) bool { return len(services) == 0 || slices.Contains(services, service) }
	known := map[string]registry.Instance{}
	for _, i := range c.supervisor.registry.Snapshot().Instances {
		known[i.ID] = i
	}
	var out []*fleetv1.Instance
	for _, st := range c.supervisor.fleet.Status() {
		i, registered := known[st.Instance]
		delete(known, st.Instance)
		if wanted(st.Service) {
			out = append(out, instanceToProto(st, i, registered))
		}
	}
	for _, i := range known {
		if wanted(i.Service) && !strings.HasSuffix(i.ID, ".http") && !c.supervisor.fleet.Runs(i.ID) {
			out = append(out, instanceToProto(fleet.Status{Name: i.ID, Service: i.Service, State: fleet.State(i.State), Started: i.Started}, i, true))
		}
	}
	if len(out) == 0 && len(services) > 0 {
		return nil, status.Errorf(codes.NotFound, "no service %q; there are %v", services, c.supervisor.fleet.Names())
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].GetService() < out[b].GetService() })
	return out, nil
}

func instanceToProto(st fleet.Status, i registry.Instance, registered bool) *fleetv1.Instance {
	out := &fleetv1.Instance{
		Id: st.Name, Service: st.Service, Number: int32(st.Number), State: states()[st.State], Pid: int64(st.PID),
		Restarts: int32(st.Restarts),
	}
	if !st.Started.IsZero() {
		out.Started = timestamppb.New(st.Started)
	}
	if st.LastExit != "" {
		out.LastExit = &fleetv1.Exit{Time: timestamppb.New(st.LastExitTime), How: st.LastExit}
	}
	if registered {
		out.Address, out.Socket, out.Admin = i.Address, i.Socket, i.Admin
		out.Version, out.Zone, out.SettingsRevision = i.Version, i.Zone, i.SettingsRevision
	}
	return out
}

func states() map[fleet.State]fleetv1.State {
	return map[fleet.State]fleetv1.State{
		fleet.Starting: fleetv1.State_STATE_STARTING, fleet.Ready: fleetv1.State_STATE_READY,
		fleet.Draining: fleetv1.State_STATE_DRAINING, fleet.Waiting: fleetv1.State_STATE_WAITING,
		fleet.CrashLoop: fleetv1.State_STATE_CRASH_LOOP, fleet.Stopped: fleetv1.State_STATE_STOPPED,
	}
}

func (s *Supervisor) describe() *fleetv1.System {
	out := &fleetv1.System{
		Name: s.system.Name, Environment: s.system.Environment, Directory: s.system.Dir, Data: s.data.dir,
		Pid: int64(os.Getpid()), Version: s.opts.Version, Started: timestamppb.New(s.started), Gateway: s.fleet.Address("gateway"),
	}
	if took := s.ReadyAfter(); took > 0 {
		out.ReadyAfter = durationpb.New(took)
	}
	return out
}

func (s *Supervisor) engines() []*fleetv1.Engine {
	e := s.system.Engines
	engine := func(role, configured, url string) *fleetv1.Engine {
		kind, _, _ := strings.Cut(url, ":")
		address := url
		if u, err := openurl.Parse(url); err == nil {
			address = openurl.Redact(u)
		}
		return &fleetv1.Engine{Role: role, Kind: kind, Address: address, Embedded: configured == "embedded" || kind == "sqlite"}
	}
	return []*fleetv1.Engine{
		engine("registry", e.Registry, s.registryURL),
		engine("config", e.Config, s.configURL),
		engine("database", e.Database, e.Database),
	}
}
