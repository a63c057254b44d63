package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/engines"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/node"
	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/registry"
)

// startEngines starts what is to run inside, and returns the environment that
// tells the processes where everything is.
func (s *Supervisor) startEngines(ctx context.Context) ([]string, error) {
	sys := s.system
	places := system.Places{Data: s.data.dir}
	if slices.Contains([]string{sys.Engines.Registry, sys.Engines.Config, sys.Engines.Locks}, system.Embedded) {
		if err := s.startEtcd(ctx); err != nil {
			return nil, err
		}
	}
	if sys.Engines.Events == system.Embedded {
		if err := s.startNATS(ctx); err != nil {
			return nil, err
		}
	}
	key, err := s.data.key()
	if err != nil {
		return nil, err
	}
	s.registryURL, s.configURL = s.engineURL(sys.Engines.Registry, places), s.engineURL(sys.Engines.Config, places)
	s.locksURL = s.engineURL(sys.Engines.Locks, places)
	if sys.Engines.Events != system.Embedded {
		s.eventsURL = sys.Expand(sys.Engines.Events, places)
	}
	if s.tracesURL, err = s.startSignals(ctx); err != nil {
		return nil, err
	}
	return []string{
		"WARREN_SYSTEM=" + sys.Name,
		"WARREN_ENVIRONMENT=" + sys.Environment,
		"WARREN_SYSTEM_FILE=" + sys.File,
		"WARREN_REGISTRY=" + s.registryURL,
		"WARREN_CONFIG=" + s.configURL,
		"WARREN_DATABASE=" + sys.Engines.Database,
		"WARREN_EVENTS=" + s.eventsURL,
		"WARREN_LOCKS=" + s.locksURL,
		"WARREN_TRACES=" + s.tracesURL,
		"WARREN_KEY_FILE=" + key,
		"WARREN_DATA=" + s.data.dir,
		"WARREN_LOG_FORMAT=json",
	}, nil
}

func (s *Supervisor) startEtcd(ctx context.Context) error {
	began := time.Now()
	etcd, err := engines.StartEtcd(ctx, engines.EtcdOptions{Dir: s.data.path("etcd"), Logger: s.log})
	if err != nil {
		return err
	}
	s.etcd = etcd
	closed := make(chan struct{})
	s.engineReady("etcd", began, func() error { close(closed); return etcd.Close() })
	go func() {
		select {
		case <-etcd.Failed():
		case <-closed:
			return
		}
		if err := etcd.Health(context.Background()); err != nil {
			s.end(fmt.Errorf("the embedded etcd ended: %w", err))
		}
	}()
	return nil
}

// startNATS starts the broker. Its token is new in every run, as its port is:
// who joins the system reads both.
func (s *Supervisor) startNATS(ctx context.Context) error {
	began := time.Now()
	s.brokerOptions = engines.NATSOptions{Dir: s.data.path("events"), Token: rand.Text(), Logger: s.log}
	nats, err := engines.StartNATS(ctx, s.brokerOptions)
	if err != nil {
		return err
	}
	s.brokerOptions.Address = nats.Endpoint()
	s.broker.Store(nats)
	s.eventsURL = "nats://" + s.brokerOptions.Token + "@" + nats.Endpoint() + "/" + s.system.Name
	s.engineReady("nats", began, func() error { return s.broker.Load().Close() })
	return nil
}

// RestartEvents ends the embedded broker, as a crash would, and starts it again
// at its address. Services find it by themselves.
func (s *Supervisor) RestartEvents(ctx context.Context) error {
	before := s.broker.Load()
	if before == nil {
		return errors.New("restart the broker: it does not run inside")
	}
	if err := before.Close(); err != nil {
		return fmt.Errorf("restart the broker: %w", err)
	}
	nats, err := engines.StartNATS(ctx, s.brokerOptions)
	if err != nil {
		return fmt.Errorf("restart the broker: %w", err)
	}
	s.broker.Store(nats)
	return nil
}

func (s *Supervisor) engineReady(name string, began time.Time, end func() error) {
	s.closers = append(s.closers, end)
	s.told(name, began)
}

// told says that an engine is ready.
func (s *Supervisor) told(name string, began time.Time) {
	s.event(fleet.Event{
		Kind: fleet.EventReady, Instance: name, Message: fmt.Sprintf("%s is ready after %.1f s", name, time.Since(began).Seconds()),
	})
}

// engineURL is where processes find a registry, a configuration centre or locks.
func (s *Supervisor) engineURL(url string, places system.Places) string {
	if url == system.Embedded {
		return "etcd://" + s.etcd.Endpoint() + "/" + s.system.Name
	}
	return s.system.Expand(url, places)
}

func (s *Supervisor) openRegistry(ctx context.Context, p *presence) error {
	own, err := node.OpenRegistry(ctx, s.registryURL)
	if err != nil {
		return err
	}
	watching, err := node.OpenRegistry(ctx, s.registryURL)
	if err != nil {
		return err
	}
	s.registry = registry.New(watching, registry.Options{Logger: s.log, Settings: s.settings})
	p.registry, p.driver = s.registry, own
	s.closers = append(s.closers, own.Close, s.registry.Close)
	return nil
}

// plan says which processes the system consists of. They are named by the run:
// the registry may still know those of a supervisor that was killed as ready. The gateway comes last:
// it stops first, so that nothing enters while the rest drains; the coordinator
// first, so that it still hears of what the rest ends with.
func (s *Supervisor) plan() fleet.Plan {
	plan := fleet.Plan{Data: s.data.dir, Root: s.system.Dir, Run: strings.ToLower(rand.Text()[:4]), Grace: s.grace}
	plan = s.withCoordinator(plan)
	for _, svc := range s.system.Services {
		sp := fleet.ServicePlan{
			Name: svc.Name, Package: svc.Path, Program: svc.Program, Args: svc.Args,
			Dir: s.system.Dir, Replicas: svc.Replicas, Listen: svc.Address,
		}
		if svc.Database != "" {
			sp.Env = append(sp.Env, "WARREN_DATABASE="+svc.Database)
		}
		for name, value := range svc.Env {
			sp.Env = append(sp.Env, name+"="+value)
		}
		plan.Services = append(plan.Services, sp)
	}
	return s.withGateway(plan)
}

func (s *Supervisor) withCoordinator(plan fleet.Plan) fleet.Plan {
	database := s.system.Engines.Transactions
	if database == "" {
		return plan
	}
	coordinator := fleet.ServicePlan{
		Name: "coordinator", Program: s.opts.Program, Args: []string{"coordinator"}, Dir: s.system.Dir, Replicas: 1,
	}
	if database != system.Embedded {
		coordinator.Env = []string{"WARREN_DATABASE=" + database}
	}
	plan.Services = append(plan.Services, coordinator)
	return plan
}

func (s *Supervisor) withGateway(plan fleet.Plan) fleet.Plan {
	if s.opts.Gateway == "" {
		s.opts.Gateway = s.system.Gateway.Address
	}
	if strings.HasPrefix(s.opts.Gateway, ":") {
		s.opts.Gateway = "127.0.0.1" + s.opts.Gateway // what is open to the network is so by an explicit address
	}
	plan.Services = append(plan.Services, fleet.ServicePlan{
		Name: "gateway", Program: s.opts.Program, Args: []string{"gateway"},
		Dir: s.system.Dir, Replicas: 1, Listen: s.opts.Gateway,
	})
	return plan
}
