// Package control answers, for a running system, the part of the control API
// that no other part of Warren answers for: what contracts say and what comes of
// calling them, what settings hold, and what only a service can tell. It looks
// at a system by its registry, its settings and its key, and runs nothing.
package control

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/registry"
	"github.com/gowarren/warren/rpc"
)

// operator is the caller whose word for an author services take.
const operator = "cli"

// Options are what is known of the system. Only Registry is required.
type Options struct {
	Environment string
	Registry    *registry.Registry
	Settings    *config.Settings // which calls obey; nil: the defaults
	Centre      *config.Centre   // for who asks what is set; nil: nobody does
	File        config.FileLayer // what the system's file sets
	Key         *auth.ServiceKey // signs calls in the operator's name
	Traces      string           // where calls that are tried leave a trace; "" is nowhere
	Version     string
	Logger      *slog.Logger // nil: slog.Default
	// Instances are those that run; nil: nobody can ask what they obey.
	Instances func() ([]*fleetv1.Instance, error)
	Audit     *audit.Log // nil: nothing is written down
}

// API is the part of the control API that is answered here.
type API struct {
	contracts *contracts
	settings  *settings // nil without a centre
	policies  *policies
	services  *rpc.Client // what is passed on goes by this
	audit     *audit.Log  // nil: nothing is written down
}

// Open connects to the system's services in the operator's name. They are called
// only when somebody asks. Close must be called.
func Open(opts Options) (*API, error) {
	calls := rpc.ClientOptions{
		Registry: opts.Registry, Settings: opts.Settings, Logger: opts.Logger,
		Service: operator, ServiceKey: opts.Key, Host: registry.HostIdentity(),
	}
	services, err := rpc.NewClient(calls)
	if err != nil {
		return nil, err
	}
	tries, err := openCaller(calls, opts.Version, opts.Traces)
	if err != nil {
		return nil, errors.Join(err, services.Close())
	}
	a := &API{services: services, audit: opts.Audit, contracts: &contracts{registry: opts.Registry, key: opts.Key, caller: tries}}
	if opts.Centre != nil {
		a.settings = &settings{environment: opts.Environment, centre: opts.Centre, file: opts.File, instances: opts.Instances}
		a.policies = &policies{contracts: a.contracts, centre: opts.Centre, file: opts.File}
	}
	return a, nil
}

// Register serves what is answered here. Of everything else [API.Forward] passes
// on what services answer.
func (a *API) Register(server grpc.ServiceRegistrar) {
	contractsv1.RegisterContractServiceServer(server, a.contracts)
	if a.audit != nil {
		observev1.RegisterAuditServiceServer(server, a.audit)
	}
	if a.settings != nil {
		settingsv1.RegisterSettingsServiceServer(server, a.settings)
		settingsv1.RegisterPolicyServiceServer(server, a.policies)
	}
}

// Unary is an interceptor of the server of the API, which writes down what its
// methods did.
func (a *API) Unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if a.audit == nil {
		return handler(ctx, req)
	}
	return a.audit.Unary(ctx, req, info, handler)
}

// Close ends the connections.
func (a *API) Close() error { return errors.Join(a.contracts.caller.close(), a.services.Close()) }
