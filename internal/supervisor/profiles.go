package supervisor

import (
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/profiling"
)

// openProfiles serves profiles of the processes, and of this one.
func (s *Supervisor) openProfiles() error {
	p, err := profiling.Open(profiling.Options{Dir: s.data.path("profiles"), Find: s.profiled, Settings: s.settings, Metrics: s.own, Logger: s.log})
	if err != nil {
		return err
	}
	observev1.RegisterProfileServiceServer(s.control, p)
	return nil
}

// profiled finds the process that somebody calls by its instance or its service.
func (s *Supervisor) profiled(name string) (profiling.Target, error) {
	if at := s.admin.Load(); name == ownLog && at != nil {
		return profiling.Target{Service: ownLog, Instance: ownLog, Version: s.opts.Version, Admin: *at}, nil
	}
	all, err := s.instances(nil)
	if err != nil {
		return profiling.Target{}, err
	}
	named := func(i *fleetv1.Instance) bool { return i.GetId() == name || i.GetService() == name }
	if !slices.ContainsFunc(all, named) {
		return profiling.Target{}, s.unknown(name)
	}
	i := slices.IndexFunc(all, func(i *fleetv1.Instance) bool {
		return named(i) && i.GetAdmin() != "" && (i.GetState() == fleetv1.State_STATE_READY || i.GetId() == name)
	})
	if i < 0 {
		return profiling.Target{}, status.Errorf(codes.FailedPrecondition, "no process of %s can be reached now", name)
	}
	return profiling.Target{Service: all[i].GetService(), Instance: all[i].GetId(), Version: all[i].GetVersion(), Admin: all[i].GetAdmin()}, nil
}
