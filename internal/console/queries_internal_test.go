package console

import (
	"context"
	"log/slog"
	"math"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/internal/metricstore"
)

// measured are the screens over the real store of metrics, in which each series
// has grown evenly for the last minutes, by so much a second.
func measured(t *testing.T, series map[*map[string]string]float64) *screens {
	t.Helper()
	store, err := metricstore.Open(metricstore.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for labels, perSecond := range series {
		one := metricstore.Series{Labels: *labels}
		for ago := 5 * time.Minute; ago >= 0; ago -= 5 * time.Second {
			one.Points = append(one.Points, metricstore.Point{Time: now.Add(-ago), Value: perSecond * (5*time.Minute - ago).Seconds()})
		}
		if err := store.Append(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	server, l := grpc.NewServer(), bufconn.Listen(1<<20)
	observev1.RegisterMetricServiceServer(server, store.Service())
	go func() { _ = server.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///store", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &screens{answers: someAnswers(t), api: api{ // the others are not there
		metrics: observev1.NewMetricServiceClient(conn), contracts: contractsv1.NewContractServiceClient(conn),
		txn: txnv1.NewOperatorServiceClient(conn), letters: eventsv1.NewLetterServiceClient(conn),
	}}
}

// Services that serve plain HTTP answer as those that are called do; one that
// does both is one service.
func TestPlainHTTPIsSeenAsCallsAre(t *testing.T) {
	call := func(service, code string) *map[string]string {
		return &map[string]string{"__name__": "rpc_server_call_duration_seconds_count", "service": service, "rpc_method": "a.B/C", "rpc_response_status_code": code}
	}
	request := func(service, route, status string) *map[string]string {
		return &map[string]string{
			"__name__": "http_server_request_duration_seconds_count", "service": service,
			"http_request_method": "GET", "http_route": route, "http_response_status_code": status,
		}
	}
	bucket := func(le string) *map[string]string {
		return &map[string]string{
			"__name__": "http_server_request_duration_seconds_bucket", "service": "site",
			"http_request_method": "GET", "http_route": "/cart", "http_response_status_code": "200", "le": le,
		}
	}
	s := measured(t, map[*map[string]string]float64{
		call("order", "OK"):                     6,
		call("order", "NOT_FOUND"):              3,
		call("order", "INTERNAL"):               3,
		request("site", "/cart", "200"):         3,
		request("site", "/cart", "503"):         1,
		request("site", "", "404"):              4,
		bucket("0.1"):                           3,
		bucket("+Inf"):                          3,
		call("both", "OK"):                      2,
		request("both", "/page", "500"):         2,
		request("gateway", "/v1/things", "200"): 20,
	})
	all, err := s.red(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.01*want+0.001 }
	for name, want := range map[string]red{
		"order": {rate: 12, errors: 0.25}, "site": {rate: 8, errors: 0.125, p95: 0.095}, "both": {rate: 4, errors: 0.5}, "gateway": {rate: 20},
	} {
		got := all[name]
		if !got.known || !near(got.rate, want.rate) || !near(got.errors, want.errors) || want.p95 > 0 && !near(got.p95, want.p95) {
			t.Errorf("%s answers %+v, want %+v", name, got, want)
		}
	}
	shown, err := s.tiles(t.Context(), all)
	if err != nil || shown[0].Value != "24 /s" {
		t.Errorf("%v, %v: what passed the gateway is to count once", shown, err)
	}
	methods, err := s.redBy(t.Context(), "rpc_method, http_request_method, http_route", `service=~"site|order"`, calledName)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]red{"a.B/C": {rate: 12, errors: 0.25}, "GET /cart": {rate: 4, errors: 0.25}, "GET (no such page)": {rate: 4}} {
		if got := methods[name]; !near(got.rate, want.rate) || !near(got.errors, want.errors) {
			t.Errorf("%s answers %+v, want %+v", name, got, want)
		}
	}
	if len(methods) != 3 {
		t.Errorf("methods and routes: %v", methods)
	}
}
