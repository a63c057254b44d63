package experiment_test

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/internal/experiment"
	"github.com/gowarren/warren/rpc"
)

const payments = "shop.payment.v1.PaymentService"

// fleet is a system of two services: order, with one instance, calls payment,
// with two.
type fleet struct {
	fleetv1.UnimplementedFleetServiceServer
	mu     sync.Mutex
	killed []string
}

func (*fleet) List(_ context.Context, req *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	ids := map[string][]string{"payment": {"payment/1", "payment/2"}, "order": {"order/1"}}[req.GetServices()[0]]
	if ids == nil {
		return nil, status.Errorf(codes.NotFound, "no service %q", req.GetServices()[0])
	}
	out := &fleetv1.ListResponse{}
	for _, id := range ids {
		out.Instances = append(out.Instances, &fleetv1.Instance{Id: id, State: fleetv1.State_STATE_READY})
	}
	return out, nil
}

func (f *fleet) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.killed = append(f.killed, req.GetInstance())
	return &fleetv1.KillResponse{}, nil
}

type contracts struct {
	contractsv1.UnimplementedContractServiceServer
}

func (contracts) List(context.Context, *contractsv1.ListRequest) (*contractsv1.ListResponse, error) {
	return &contractsv1.ListResponse{Contracts: []*contractsv1.Contract{{Name: payments, Services: []string{"payment"}}}}, nil
}

func (contracts) Describe(context.Context, *contractsv1.DescribeRequest) (*contractsv1.DescribeResponse, error) {
	return &contractsv1.DescribeResponse{Methods: []*contractsv1.Method{{Name: "Authorize"}, {Name: "Capture"}}}, nil
}

type traces struct {
	observev1.UnimplementedTraceServiceServer
}

func (traces) Topology(context.Context, *observev1.TopologyRequest) (*observev1.TopologyResponse, error) {
	return &observev1.TopologyResponse{Edges: []*observev1.TopologyEdge{
		{From: "service:order", To: "service:payment"}, {From: "service:payment", To: "database:postgresql/payment"},
		{From: "service:coordinator", To: "service:payment"}, {From: "topic:shop.order.v1.OrderPlaced", To: "service:payment"},
	}}, nil
}

// world is that system and a runner of experiments on it.
type world struct {
	*experiment.Runner
	t       *testing.T
	fleet   *fleet
	centre  *config.Centre
	options experiment.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, fleet: &fleet{}}
	server := grpc.NewServer()
	fleetv1.RegisterFleetServiceServer(server, w.fleet)
	contractsv1.RegisterContractServiceServer(server, contracts{})
	observev1.RegisterTraceServiceServer(server, traces{})
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	w.check(err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	api, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	w.check(err)
	t.Cleanup(func() { w.check(api.Close()) })

	driver, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	w.check(err)
	t.Cleanup(func() { w.check(driver.Close()) })
	w.centre, err = config.NewCentre(driver, "local")
	w.check(err)
	w.check(w.centre.Define(t.Context(), "payment", slices.Concat(rpc.Definitions(), experiment.Definitions())))
	settings, err := config.New(config.Options{Driver: driver})
	w.check(err)
	t.Cleanup(settings.Close)
	w.options = experiment.Options{
		Centre: w.centre, Settings: settings, API: api, Path: filepath.Join(t.TempDir(), "experiments.json"), Log: slog.New(slog.DiscardHandler),
	}
	w.open()
	t.Cleanup(func() { w.check(w.Close()) })
	return w
}

func (w *world) open() {
	w.t.Helper()
	runner, err := experiment.Open(w.options)
	w.check(err)
	w.Runner = runner
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) start(req *observev1.ExperimentServiceStartRequest) *observev1.Experiment {
	w.t.Helper()
	resp, err := w.Start(w.t.Context(), req)
	w.check(err)
	return resp.GetExperiment()
}

// written are the faults in the centre, by setting and scope.
func (w *world) written() map[string]string {
	w.t.Helper()
	_, entries, err := w.centre.Get(w.t.Context())
	w.check(err)
	out := map[string]string{}
	for _, e := range entries {
		out[e.Name+" "+e.Scope.String()] = e.Value
	}
	return out
}

func (w *world) all() []*observev1.Experiment {
	w.t.Helper()
	resp, err := w.List(w.t.Context(), &observev1.ExperimentServiceListRequest{Ended: true})
	w.check(err)
	return resp.GetExperiments()
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 30s: %s", what)
		}
	}
}
