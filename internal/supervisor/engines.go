package supervisor

import (
	"context"
	"crypto/rand"
	"fmt"
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
	if sys.Engines.Registry == system.Embedded || sys.Engines.Config == system.Embedded {
		began := time.Now()
		etcd, err := engines.StartEtcd(ctx, engines.EtcdOptions{Dir: s.data.path("etcd"), Logger: s.log})
		if err != nil {
			return nil, err
		}
		s.etcd = etcd
		s.closers = append(s.closers, etcd.Close)
		s.event(fleet.Event{Kind: fleet.EventReady, Instance: "etcd", Message: fmt.Sprintf("etcd is ready after %.1f s", time.Since(began).Seconds())})
		go func() {
			<-etcd.Failed()
			if err := etcd.Health(context.Background()); err != nil {
				s.end(fmt.Errorf("the embedded etcd ended: %w", err))
			}
		}()
	}
	key, err := s.data.key()
	if err != nil {
		return nil, err
	}
	s.registryURL, s.configURL = s.engineURL(sys.Engines.Registry, places), s.engineURL(sys.Engines.Config, places)
	return []string{
		"WARREN_SYSTEM=" + sys.Name,
		"WARREN_ENVIRONMENT=" + sys.Environment,
		"WARREN_SYSTEM_FILE=" + sys.File,
		"WARREN_REGISTRY=" + s.registryURL,
		"WARREN_CONFIG=" + s.configURL,
		"WARREN_DATABASE=" + sys.Engines.Database,
		"WARREN_TRACES=" + sys.Engines.Traces,
		"WARREN_KEY_FILE=" + key,
		"WARREN_DATA=" + s.data.dir,
		"WARREN_LOG_FORMAT=json",
	}, nil
}

// engineURL is where processes find a registry or a configuration centre.
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
	s.registry = registry.New(watching, registry.Options{Logger: s.log})
	p.registry, p.driver = s.registry, own
	s.closers = append(s.closers, own.Close, s.registry.Close)
	return nil
}

// plan says which processes the system consists of. They are named by the run:
// the registry may still know those of a supervisor that was killed as ready. The gateway comes last:
// it stops first, so that nothing enters while the rest drains.
func (s *Supervisor) plan() fleet.Plan {
	plan := fleet.Plan{Data: s.data.dir, Root: s.system.Dir, Run: strings.ToLower(rand.Text()[:4])}
	for _, svc := range s.system.Services {
		sp := fleet.ServicePlan{
			Name: svc.Name, Package: svc.Path, Program: svc.Program, Args: svc.Args,
			Dir: s.system.Dir, Replicas: svc.Replicas, Listen: svc.Address,
		}
		for name, value := range svc.Env {
			sp.Env = append(sp.Env, name+"="+value)
		}
		plan.Services = append(plan.Services, sp)
	}
	return s.withGateway(plan)
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
