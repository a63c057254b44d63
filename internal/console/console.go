// Package console is the web console: what runs, how it is doing and why, and
// what an operator does about it. It knows of a system only what its API tells,
// over one connection: the console of a laptop is the console of a fleet.
//
// To add a page: a file with a function that makes the view model, a template
// of its name, and a row in pages.
package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

//go:embed templates
var templates embed.FS

// Options say what a console shows, and to whom.
type Options struct {
	// API serves the system's contracts. The caller closes it.
	API grpc.ClientConnInterface
	// Address is where to listen, "127.0.0.1:7070". Whoever can reach it is let
	// in as Caller if only this machine can; all others sign in with a token.
	Address string
	// Caller is who sits at this machine.
	Caller string
	// Tokens is the file of those who may sign in.
	Tokens  string
	Version string
	Logger  *slog.Logger
}

// Console is a console that is served.
type Console struct {
	frame    *frame.Frame
	answers  *answers
	server   *http.Server
	listener net.Listener
}

// api are the contracts that the console asks.
type api struct {
	fleet     fleetv1.FleetServiceClient
	txn       txnv1.OperatorServiceClient
	letters   eventsv1.LetterServiceClient
	settings  settingsv1.SettingsServiceClient
	contracts contractsv1.ContractServiceClient
	metrics   observev1.MetricServiceClient
	alerts    observev1.AlertServiceClient
	traces    observev1.TraceServiceClient
	logs      observev1.LogServiceClient
	profiles  observev1.ProfileServiceClient
	policies  settingsv1.PolicyServiceClient

	experiments observev1.ExperimentServiceClient
	audit       observev1.AuditServiceClient
}

// screens make the views of all pages.
type screens struct {
	api
	version string
	answers *answers
}

// Open listens and serves. A port in use is an error that says so.
func Open(opts Options) (*Console, error) {
	kept, err := newAnswers()
	if err != nil {
		return nil, err
	}
	f, err := newFrame(opts, kept)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w; choose another address with --console, or none with --console off", err)
	}
	const header, idle = 10 * time.Second, 2 * time.Minute
	c := &Console{frame: f, answers: kept, listener: l, server: &http.Server{
		Handler: f.Handler(), ReadHeaderTimeout: header, ReadTimeout: idle, IdleTimeout: idle, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := c.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			opts.Logger.Error("console ended", "error", err.Error())
		}
	}()
	return c, nil
}

// Address is where it listens.
func (c *Console) Address() string { return c.listener.Addr().String() }

// Close ends it, with all that it keeps up to date.
func (c *Console) Close() error {
	c.frame.Close()
	defer c.answers.Close()
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.server.Shutdown(ctx); err != nil {
		return c.server.Close()
	}
	return nil
}

func newFrame(opts Options, kept *answers) (*frame.Frame, error) {
	s := &screens{version: opts.Version, answers: kept, api: api{
		fleet: fleetv1.NewFleetServiceClient(opts.API), txn: txnv1.NewOperatorServiceClient(opts.API),
		letters: eventsv1.NewLetterServiceClient(opts.API), settings: settingsv1.NewSettingsServiceClient(opts.API),
		contracts: contractsv1.NewContractServiceClient(opts.API), metrics: observev1.NewMetricServiceClient(opts.API),
		alerts: observev1.NewAlertServiceClient(opts.API), traces: observev1.NewTraceServiceClient(opts.API),
		logs: observev1.NewLogServiceClient(opts.API), profiles: observev1.NewProfileServiceClient(opts.API),
		policies:    settingsv1.NewPolicyServiceClient(opts.API),
		experiments: observev1.NewExperimentServiceClient(opts.API),
		audit:       observev1.NewAuditServiceClient(opts.API),
	}}
	access, err := accessOf(opts)
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	return frame.New(frame.Options{
		Pages: s.pages(), Actions: s.actions(), Feeds: []frame.Feed{{Path: "/metrics/complete", Show: s.complete}},
		Templates: own, Header: s.header, Notices: s.notices, Find: s.find, Home: "/overview",
		Version: opts.Version, Access: access, Record: s.record, Logger: opts.Logger,
	})
}

// accessOf lets in whoever sits at the machine, and nobody else without a token.
func accessOf(opts Options) (frame.Access, error) {
	if frame.LoopbackAddress(opts.Address) {
		return frame.Access{Open: true, Caller: frame.Caller{Name: opts.Caller, Role: frame.Admin}}, nil
	}
	if opts.Tokens == "" {
		return frame.Access{}, errors.New("open the console: at an address that others reach, people sign in, and there is no file of tokens")
	}
	tokens := Tokens{Path: opts.Tokens}
	return frame.Access{Check: tokens.check, Still: tokens.still}, nil
}

// pages is the table of all screens.
func (s *screens) pages() []frame.Page {
	const watch, slow = 2 * time.Second, 5 * time.Second
	const now, signals, work, system = "Now", "Signals", "Work", "System"
	return []frame.Page{
		{Name: "overview", Path: "/overview", Title: "Overview", Key: "o", Group: now, Icon: "overview", Live: watch, Show: s.overview},
		{Name: "topology", Path: "/topology", Title: "Topology", Key: "g", Group: now, Icon: "topology", Live: slow, Ranged: true, Show: s.topology},
		{Name: "services", Path: "/services", Title: "Services", Key: "s", Group: now, Icon: "services", Live: watch, Show: s.services},
		{Name: "service", Path: "/services/{service}", Title: "Service", Under: "services", Live: watch, Ranged: true, Show: s.service},
		{Name: "instance", Path: "/services/{service}/{number}", Title: "Instance", Under: "services", Live: watch, Ranged: true, Show: s.instance},
		{Name: "policies", Path: "/services/{service}/policies", Title: "Policies", Under: "services", Show: s.servicePolicies},
		{Name: "profile", Path: "/profiles/{profile}", Title: "Profile", Under: "services", Show: s.profile},
		{Name: "alerts", Path: "/alerts", Title: "Alerts", Key: "a", Group: now, Icon: "alerts", Live: slow, Show: s.alertList},
		{Name: "alert", Path: "/alerts/{alert}", Title: "Alert", Under: "alerts", Live: slow, Ranged: true, Show: s.alert},
		{Name: "traces", Path: "/traces", Title: "Traces", Key: "t", Group: signals, Icon: "traces", Live: slow, Ranged: true, Show: s.traceList},
		{Name: "compare", Path: "/traces/compare", Title: "Two traces compared", Under: "traces", Show: s.compare},
		{Name: "trace", Path: "/traces/{trace}", Title: "Trace", Under: "traces", Show: s.trace},
		{Name: "logs", Path: "/logs", Title: "Logs", Key: "l", Group: signals, Icon: "logs", Live: watch, Ranged: true, Show: s.logLines},
		{Name: "metrics", Path: "/metrics", Title: "Metrics", Key: "m", Group: signals, Icon: "metrics", Live: slow, Ranged: true, Show: s.explore},
		{Name: "transactions", Path: "/transactions", Title: "Transactions", Key: "x", Group: work, Icon: "saga", Live: watch, Show: s.transactions},
		{Name: "transaction", Path: "/transactions/{gid}", Title: "Transaction", Under: "transactions", Live: watch, Show: s.transaction},
		{Name: "events", Path: "/events", Title: "Events", Key: "v", Group: work, Icon: "events", Live: slow, Ranged: true, Show: s.eventFlows},
		{Name: "event", Path: "/events/{topic}", Title: "Event", Under: "events", Live: slow, Ranged: true, Show: s.event},
		{Name: "letters", Path: "/letters", Title: "Dead letters", Key: "d", Group: work, Icon: "letters", Live: slow, Show: s.letterList},
		{Name: "letter", Path: "/letters/{service}/{letter}", Title: "Dead letter", Under: "letters", Show: s.letter},
		{Name: "contracts", Path: "/contracts", Title: "Contracts", Key: "c", Group: system, Icon: "contract", Show: s.contractList},
		{Name: "contract", Path: "/contracts/{contract}", Title: "Contract", Under: "contracts", Show: s.contract},
		{
			Name: "method", Path: "/contracts/{contract}/{method}", Title: "Method", Under: "contracts", Ranged: true, Show: s.method,
			Send: s.try, SendNeeds: frame.Operator,
		},
		{Name: "routes", Path: "/routes", Title: "REST routes", Under: "contracts", Show: s.routes},
		{
			Name: "experiments", Path: "/experiments", Title: "Experiments", Key: "f", Group: system, Icon: "fault", Live: slow, Ranged: true,
			Show: s.experimentList,
		},
		{Name: "settings", Path: "/settings", Title: "Settings", Key: "e", Group: system, Icon: "settings", Show: s.settingList},
		{Name: "setting", Path: "/settings/{setting}", Title: "Setting", Under: "settings", Show: s.setting},
		{Name: "history", Path: "/settings-history", Title: "Changes of settings", Under: "settings", Show: s.settingHistory},
		{Name: "audit", Path: "/audit", Title: "Audit", Key: "u", Group: system, Icon: "audit", Live: slow, Show: s.auditList},
	}
}

// actions is the table of what people do.
func (s *screens) actions() []frame.Action {
	var out []frame.Action
	out = append(out, s.fleetActions()...)
	out = append(out, s.txnActions()...)
	out = append(out, s.letterActions()...)
	out = append(out, s.settingActions()...)
	out = append(out, s.experimentActions()...)
	return append(out, s.alertActions()...)
}
