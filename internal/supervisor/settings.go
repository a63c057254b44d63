package supervisor

import (
	"context"
	"slices"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/experiment"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/profiling"
	"github.com/gowarren/warren/internal/signals"
)

// margin is what a process has beyond its drain: for its hooks, its lease, its
// last spans, and a busy machine.
const margin = 15 * time.Second

// openSettings makes the supervisor obey what it shares with the processes: it
// must not kill one that was given more time to drain.
func (s *Supervisor) openSettings(ctx context.Context) error {
	centre, err := node.OpenConfig(ctx, s.configURL)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, centre.Close)
	s.settings, err = config.New(config.Options{
		Service: ownLog, Environment: s.system.Environment, File: s.system.Settings, Driver: centre, Logger: s.log,
		Definitions: slices.Concat(node.Definitions(), observeDefinitions()),
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, func() error { s.settings.Close(); return nil })
	if s.signals != nil {
		s.signals.Obey(s.settings)
	}
	s.centre, err = config.NewCentre(centre, s.system.Environment)
	return err
}

// observeDefinitions are the settings of what the supervisor runs to see the system.
func observeDefinitions() []config.Definition {
	return slices.Concat(metricstore.Definitions(), alerting.Definitions(), signals.Definitions(), experiment.Definitions(), profiling.Definitions())
}

// grace is how long a process of the service may take to end, as of now.
func (s *Supervisor) grace(service string) time.Duration {
	return node.DrainTimeout(s.settings, service).Get() + margin
}
