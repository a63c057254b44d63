package supervisor

import (
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/experiment"
)

// openExperiments serves experiments, and goes on with those that a supervisor
// before this one began. They ask the control socket, as any command does. It
// ends before the services do: who drains is not to be killed.
func (s *Supervisor) openExperiments() error {
	conn, err := connection(s.data.dir, audit.Caller{Via: audit.Experiment}.DialOptions()...)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, conn.Close)
	runner, err := experiment.Open(experiment.Options{
		Centre: s.centre, Settings: s.settings, API: conn, Path: s.data.path("experiments.json"), Log: s.log,
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, runner.Close)
	observev1.RegisterExperimentServiceServer(s.control, runner)
	return nil
}
