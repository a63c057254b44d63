package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/audit"
	"github.com/gowarren/warren/internal/console"
)

// world is a system in a moment of trouble, as its API tells of it: payment
// loses one of its two instances, a checkout is parked, letters are dead.
type world struct {
	fleetv1.UnimplementedFleetServiceServer
	began time.Time

	mu       sync.Mutex
	replicas map[string]int
	done     []string // what was asked of it
	log      []string // JSON lines of the supervisor

	experiments *experimentsWorld
	audit       *audit.File // nil: a new one
	api         *grpc.ClientConn
	heard       questions
}

const (
	someTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	someGid   = "checkout/1042"
)

func newWorld() *world {
	w := &world{began: time.Now().Add(-90 * time.Minute), replicas: map[string]int{"catalog": 2, "order": 2, "payment": 2, "inventory": 1, "shipping": 1, "gateway": 1}}
	w.experiments = newExperimentsWorld(w)
	w.write("ready", "payment/1 is ready after 0.4 s")
	w.write("restart", "payment/2 ended by itself (killed by SIGKILL) and is started again")
	return w
}

func (w *world) write(kind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(`{"time":%q,"level":"INFO","msg":%q,"kind":%q}`, time.Now().Format(time.RFC3339Nano), text, kind))
}

// Write takes the console's own log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, strings.TrimSpace(string(p)))
	return len(p), nil
}

func (w *world) did(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, what)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, "\n")
}

func (w *world) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.done...)
}

// serve begins the API and a console on it. Services whose names are left out
// are not served.
func (w *world) serve(t *testing.T, opts console.Options, without ...string) *console.Console {
	t.Helper()
	list := &audit.Log{File: w.audit, Owner: "root", Logger: slog.New(slog.NewJSONHandler(w, nil))}
	if w.audit == nil {
		list.File = &audit.File{Path: t.TempDir() + "/audit.jsonl"}
	}
	api := grpc.NewServer(grpc.UnaryInterceptor(list.Unary))
	for name, register := range map[string]func(){
		"fleet":       func() { fleetv1.RegisterFleetServiceServer(api, w) },
		"settings":    func() { settingsv1.RegisterSettingsServiceServer(api, &settingsWorld{world: w}) },
		"policies":    func() { settingsv1.RegisterPolicyServiceServer(api, policiesWorld{}) },
		"contracts":   func() { contractsv1.RegisterContractServiceServer(api, contractsWorld{world: w}) },
		"txn":         func() { txnv1.RegisterOperatorServiceServer(api, &txnWorld{world: w}) },
		"letters":     func() { eventsv1.RegisterLetterServiceServer(api, &lettersWorld{world: w}) },
		"audit":       func() { observev1.RegisterAuditServiceServer(api, list) },
		"experiments": func() { observev1.RegisterExperimentServiceServer(api, w.experiments) },
		"observe": func() {
			observev1.RegisterMetricServiceServer(api, metricsWorld{})
			observev1.RegisterAlertServiceServer(api, &alertsWorld{world: w})
			observev1.RegisterTraceServiceServer(api, tracesWorld{})
			observev1.RegisterLogServiceServer(api, logsWorld{})
			observev1.RegisterProfileServiceServer(api, &profilesWorld{world: w})
		},
	} {
		if !strings.Contains(strings.Join(without, " "), name) {
			register()
		}
	}
	const room = 1 << 20
	l := bufconn.Listen(room)
	go func() { _ = api.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///world", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	w.api = conn
	opts.API, opts.Caller, opts.Version = &listener{conn, &w.heard}, "ada", "test"
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	opts.Logger = slog.New(slog.NewJSONHandler(w, nil))
	c, err := console.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
		api.Stop()
	})
	return c
}

func (w *world) List(_ context.Context, req *fleetv1.ListRequest) (*fleetv1.ListResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := &fleetv1.ListResponse{
		System:  &fleetv1.System{Name: "shop", Environment: "local", Gateway: "127.0.0.1:8080", Started: timestamppb.New(w.began)},
		Engines: []*fleetv1.Engine{{Role: "registry", Kind: "etcd", Address: "etcd://127.0.0.1:2379/shop", Embedded: true}, {Role: "events", Kind: "nats", Address: "nats://127.0.0.1:4222", Embedded: true}, {Role: "database", Kind: "sqlite", Address: "sqlite:{data}/{service}.db", Embedded: true}},
	}
	for _, name := range []string{"catalog", "gateway", "inventory", "order", "payment", "shipping"} {
		if len(req.GetServices()) > 0 && req.GetServices()[0] != name {
			continue
		}
		for n := range w.replicas[name] {
			i := &fleetv1.Instance{
				Id: fmt.Sprintf("%s/%d", name, n+1), Service: name, Number: int32(n + 1), State: fleetv1.State_STATE_READY, Pid: int64(4100 + 10*len(out.GetInstances())), Address: fmt.Sprintf("127.0.0.1:%d", 40000+len(out.GetInstances())),
				Admin: "127.0.0.1:41000", Version: "v1.4.2", Started: timestamppb.New(w.began), SettingsRevision: 7,
			}
			if name == "payment" && n == 1 {
				i.State, i.Restarts, i.LastExit = fleetv1.State_STATE_STARTING, 3, &fleetv1.Exit{Time: timestamppb.Now(), How: "killed by SIGKILL"}
			}
			if req.GetChecks() != fleetv1.Checks_CHECKS_UNSPECIFIED {
				i.Checks = []*fleetv1.Check{{Name: "database", Ok: i.GetState() == fleetv1.State_STATE_READY}, {Name: "registry", Ok: true}}
				if !i.GetChecks()[0].GetOk() {
					i.Checks[0].Reason = "dial tcp 127.0.0.1:5432: connect: connection refused"
				}
			}
			out.Instances = append(out.Instances, i)
		}
	}
	if len(out.GetInstances()) == 0 {
		return nil, status.Errorf(codes.NotFound, "no service %q; there are catalog, gateway, inventory, order, payment, shipping", req.GetServices()[0])
	}
	return out, nil
}

func (w *world) Logs(req *fleetv1.LogsRequest, stream grpc.ServerStreamingServer[fleetv1.LogsResponse]) error {
	who := strings.Join(req.GetServices(), "")
	lines := []string{`{"level":"INFO","msg":"listening","address":"127.0.0.1:40000"}`, `{"level":"WARN","msg":"slow query","took":"812ms","trace_id":"` + someTrace + `"}`, `{"level":"ERROR","msg":"charge refused by the bank","code":"UNAVAILABLE"}`}
	if who == "warren" {
		w.mu.Lock()
		lines = append([]string(nil), w.log...)
		w.mu.Unlock()
	}
	for _, text := range lines {
		if err := stream.Send(&fleetv1.LogsResponse{Instance: who, Time: timestamppb.New(w.began.Add(time.Hour)), Line: text}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Restart(_ context.Context, req *fleetv1.RestartRequest) (*fleetv1.RestartResponse, error) {
	w.did("restart " + strings.Join(req.GetServices(), ","))
	list, err := w.List(context.Background(), &fleetv1.ListRequest{Services: req.GetServices()})
	return &fleetv1.RestartResponse{Instances: list.GetInstances()}, err
}

func (w *world) Scale(_ context.Context, req *fleetv1.ScaleRequest) (*fleetv1.ScaleResponse, error) {
	w.did(fmt.Sprintf("scale %s %d", req.GetService(), req.GetReplicas()))
	w.mu.Lock()
	w.replicas[req.GetService()] = int(req.GetReplicas())
	w.mu.Unlock()
	list, err := w.List(context.Background(), &fleetv1.ListRequest{Services: []string{req.GetService()}})
	return &fleetv1.ScaleResponse{Instances: list.GetInstances()}, err
}

func (w *world) Kill(_ context.Context, req *fleetv1.KillRequest) (*fleetv1.KillResponse, error) {
	w.did("kill " + req.GetInstance() + " " + req.GetSignal())
	return &fleetv1.KillResponse{}, nil
}

type metricsWorld struct {
	observev1.UnimplementedMetricServiceServer
}

var shopServices = []string{"catalog", "gateway", "inventory", "order", "payment", "shipping"}

func labelOf(query string) string {
	for _, label := range []string{"rpc_method", "rpc_response_status_code", "instance", "service"} {
		if strings.Contains(query, "by ("+label) {
			return label
		}
	}
	return "service"
}

func namesOf(label string) []string {
	switch label {
	case "rpc_response_status_code":
		return []string{"OK", "UNAVAILABLE"}
	case "rpc_method":
		return []string{"shop.payment.v1.PaymentService/Hold", "shop.payment.v1.PaymentService/Capture"}
	case "instance":
		return []string{"payment/1", "payment/2"}
	}
	return shopServices
}

func valueOf(query string, i int, t float64) float64 {
	wave := 1 + 0.25*math.Sin(t/40+float64(i))
	switch {
	case strings.Contains(query, "/ ("):
		return map[bool]float64{true: 0.042, false: 0}[i == 4] * wave
	case strings.Contains(query, "quantile"):
		return 0.004 * float64(i+1) * wave
	case strings.Contains(query, "bytes"):
		return 41e6 * wave
	}
	return float64(12*(i+1)) * wave
}

func (metricsWorld) Query(_ context.Context, req *observev1.QueryRequest) (*observev1.QueryResponse, error) {
	out := &observev1.QueryResponse{Kind: observev1.QueryResponse_KIND_VECTOR}
	for _, madeUp := range []func(string) ([]*observev1.Sample, bool){madeUpEvents, madeUpBreakers} {
		if samples, ok := madeUp(req.GetQuery()); ok {
			out.Samples = samples
			return out, nil
		}
	}
	label := labelOf(req.GetQuery())
	for i, name := range namesOf(label) {
		out.Samples = append(out.Samples, &observev1.Sample{Labels: map[string]string{label: name}, Value: valueOf(req.GetQuery(), i, 0)})
	}
	return out, nil
}

func (metricsWorld) QueryRange(_ context.Context, req *observev1.QueryRangeRequest) (*observev1.QueryRangeResponse, error) {
	if strings.Contains(req.GetQuery(), "((") {
		return nil, status.Error(codes.InvalidArgument, "1:3: parse error: unclosed left parenthesis")
	}
	if series, ok := madeUpCourse(req); ok {
		return &observev1.QueryRangeResponse{Series: series}, nil
	}
	label := labelOf(req.GetQuery())
	out := &observev1.QueryRangeResponse{}
	for i, name := range namesOf(label) {
		one := &observev1.Series{Labels: map[string]string{label: name}}
		for at := req.GetStart().AsTime(); at.Before(req.GetEnd().AsTime()); at = at.Add(req.GetStep().AsDuration()) {
			one.Points = append(one.Points, &observev1.Point{Time: timestamppb.New(at), Value: valueOf(req.GetQuery(), i, float64(at.Unix()))})
		}
		out.Series = append(out.Series, one)
	}
	return out, nil
}

func (metricsWorld) Metadata(context.Context, *observev1.MetadataRequest) (*observev1.MetadataResponse, error) {
	return &observev1.MetadataResponse{Metrics: []*observev1.Metric{{Name: "go_goroutines", Type: "gauge", Help: "How many goroutines there are"}, {Name: "rpc_server_call_duration_seconds", Type: "histogram", Unit: "s"}}}, nil
}

func (metricsWorld) Targets(context.Context, *observev1.TargetsRequest) (*observev1.TargetsResponse, error) {
	return &observev1.TargetsResponse{Targets: []*observev1.Target{
		{Service: "payment", Instance: "payment/1", Url: "http://127.0.0.1:41000/metrics", Health: observev1.Target_HEALTH_UP, Scraped: timestamppb.Now(), Took: durationpb.New(3 * time.Millisecond)},
		{Service: "payment", Instance: "payment/2", Url: "http://127.0.0.1:41001/metrics", Health: observev1.Target_HEALTH_DOWN, Scraped: timestamppb.Now(), Error: "connection refused"},
	}}, nil
}

type alertsWorld struct {
	observev1.UnimplementedAlertServiceServer
	world *world
}

func (*alertsWorld) ListAlerts(context.Context, *observev1.ListAlertsRequest) (*observev1.ListAlertsResponse, error) {
	return &observev1.ListAlertsResponse{Alerts: []*observev1.Alert{{
		Name: "ErrorBudgetBurnsFast", State: observev1.Alert_STATE_FIRING, Severity: "page", Labels: map[string]string{"service": "payment"}, Value: 17.3, Expression: "slo:burn:1h > 14.4",
		Annotations: map[string]string{"summary": "payment spends its error budget 17 times faster than it may"}, Since: timestamppb.New(time.Now().Add(-4 * time.Minute)),
	}}}, nil
}

func (*alertsWorld) ListRules(context.Context, *observev1.ListRulesRequest) (*observev1.ListRulesResponse, error) {
	return &observev1.ListRulesResponse{Rules: []*observev1.Rule{burnRule(), {Group: "txn", Name: "SagaParked", Expression: "warren_txn_parked > 0", State: observev1.Alert_STATE_INACTIVE}}}, nil
}

func (*alertsWorld) ListSLOs(context.Context, *observev1.ListSLOsRequest) (*observev1.ListSLOsResponse, error) {
	now, left, all := 0.9971, 0.38, 0.93
	return &observev1.ListSLOsResponse{Slos: []*observev1.SLO{
		{Burns: burns(), Period: durationpb.New(30 * 24 * time.Hour), Name: "checkout", Description: "Orders are taken", Objective: 0.999, Current: &now, BudgetLeft: &left, State: observev1.Alert_STATE_FIRING}, {Name: "catalog", Description: "Products are shown within 300 ms", Objective: 0.99, Current: &all, BudgetLeft: &all},
	}}, nil
}

func (*alertsWorld) ListSilences(context.Context, *observev1.ListSilencesRequest) (*observev1.ListSilencesResponse, error) {
	return &observev1.ListSilencesResponse{}, nil
}

func (a *alertsWorld) Silence(_ context.Context, req *observev1.SilenceRequest) (*observev1.SilenceResponse, error) {
	var of []string
	for _, m := range req.GetMatchers() {
		of = append(of, m.GetLabel()+"="+m.GetValue())
	}
	a.world.did("silence " + strings.Join(of, ",") + " by " + req.GetAuthor())
	return &observev1.SilenceResponse{}, nil
}

func (*alertsWorld) History(_ context.Context, req *observev1.HistoryRequest) (*observev1.HistoryResponse, error) {
	if name := req.GetName(); name != "" && name != "ErrorBudgetBurnsFast" {
		return &observev1.HistoryResponse{}, nil
	}
	return &observev1.HistoryResponse{Changes: []*observev1.Change{{Time: timestamppb.New(time.Now().Add(-4 * time.Minute)), Name: "ErrorBudgetBurnsFast", Labels: map[string]string{"service": "payment"}}}}, nil
}
