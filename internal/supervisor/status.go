package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/registry"
)

// List describes the system and what runs where, of some services or of all.
func (s *Supervisor) List(ctx context.Context, services ...string) (*fleetv1.ListResponse, error) {
	instances, err := s.instances(services)
	if err != nil {
		return nil, err
	}
	resp := &fleetv1.ListResponse{System: s.describe(), Instances: instances}
	if len(services) == 0 {
		resp.Engines = s.engines(ctx)
	}
	return resp, nil
}

// instances joins what the fleet knows of its processes with what the registry
// knows, and adds instances that joined by themselves.
func (s *Supervisor) instances(services []string) ([]*fleetv1.Instance, error) {
	wanted := func(service string) bool { return len(services) == 0 || slices.Contains(services, service) }
	known := map[string]registry.Instance{}
	for _, i := range s.registry.Snapshot().Instances {
		known[i.ID] = i
	}
	host := registry.HostIdentity()
	var out []*fleetv1.Instance
	for _, st := range s.fleet.Status() {
		i, registered := known[st.Instance]
		delete(known, st.Instance)
		if wanted(st.Service) {
			out = append(out, instanceToProto(st, i, registered))
		}
	}
	for _, i := range known {
		gone := i.Host == host && fleet.Named(i.ID) // and the registry will know it soon
		if wanted(i.Service) && !strings.HasSuffix(i.ID, ".http") && !gone {
			out = append(out, instanceToProto(fleet.Status{Name: i.ID, Service: i.Service, State: fleet.State(i.State), Started: i.Started}, i, true))
		}
	}
	for _, name := range services {
		if !slices.ContainsFunc(out, func(i *fleetv1.Instance) bool { return i.GetService() == name }) && !slices.Contains(s.fleet.Names(), name) {
			return nil, s.unknown(name)
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].GetService() < out[b].GetService() })
	return out, nil
}

// unknown explains that the system has no such service, or not yet.
func (s *Supervisor) unknown(name string) error {
	if now, err := system.Load(s.opts.File, s.opts.Environment); err == nil {
		if _, ok := now.Service(name); ok {
			return status.Error(codes.FailedPrecondition, fmt.Sprintf("service %s is new in %s, "+
				"and this system was started without it; warren down, then warren up",
				name, filepath.Base(now.File)))
		}
	}
	return status.Error(codes.NotFound, fmt.Sprintf("no service %q; there are %s", name, strings.Join(s.fleet.Names(), ", ")))
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
	if c := s.console.Load(); c != nil {
		out.Console = c.Address()
	}
	if at := s.admin.Load(); at != nil {
		out.Admin = *at
	}
	if took := s.ReadyAfter(); took > 0 {
		out.ReadyAfter = durationpb.New(took)
	}
	return out
}

func (s *Supervisor) engines(ctx context.Context) []*fleetv1.Engine {
	e := s.system.Engines
	engine := func(role, configured, url string) *fleetv1.Engine {
		kind, _, _ := strings.Cut(url, ":")
		address := url
		if u, err := openurl.Parse(url); err == nil {
			address = openurl.Redact(u)
		}
		out := &fleetv1.Engine{Role: role, Kind: kind, Address: address, Embedded: configured == system.Embedded || kind == "sqlite"}
		if configured == system.Embedded {
			out.Problem = s.problem(ctx, kind)
		}
		return out
	}
	out := []*fleetv1.Engine{
		engine("registry", e.Registry, s.registryURL),
		engine("config", e.Config, s.configURL),
		engine("database", e.Database, e.Database),
		engine("events", e.Events, s.eventsURL),
	}
	if s.signals != nil {
		out = append(out, &fleetv1.Engine{Role: "traces", Kind: "otlp", Address: s.signals.URL(), Embedded: true, Problem: s.signals.Problem()})
	} else if e.Traces != "" {
		out = append(out, engine("traces", e.Traces, e.Traces))
	}
	if s.metrics != nil {
		out = append(out, &fleetv1.Engine{Role: "metrics", Kind: "prometheus", Embedded: true, Problem: s.metrics.Problem()})
	}
	if e.Locks != "" {
		out = append(out, engine("locks", e.Locks, s.locksURL))
	}
	return out
}

// problem tells what is wrong with an engine that runs inside.
func (s *Supervisor) problem(ctx context.Context, kind string) string {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	switch kind {
	case "etcd":
		err = s.etcd.Health(ctx)
	case "nats":
		err = s.broker.Load().Health(ctx)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
