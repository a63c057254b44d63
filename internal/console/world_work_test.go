package console_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(-d)) }

type txnWorld struct {
	txnv1.UnimplementedOperatorServiceServer
	world *world
}

func transaction(gid string) *txnv1.Transaction {
	return &txnv1.Transaction{
		Gid: gid, Name: "checkout", Pattern: txnv1.Pattern_PATTERN_SAGA, State: txnv1.State_STATE_RUNNING, Parked: true, Reason: "capture: the bank does not answer", ReasonBranch: "capture",
		CreateTime: ago(6 * time.Minute), Owner: "coordinator/1",
		Branches: []*txnv1.BranchView{
			{Name: "open", Method: "/shop.order.v1.OrderService/Open", Undo: "/shop.order.v1.OrderService/Reject", State: txnv1.BranchState_BRANCH_STATE_DONE, Attempts: 1, Request: []byte("x"), Response: []byte("x")},
			{Name: "hold", Method: "/shop.payment.v1.PaymentService/Hold", Undo: "/shop.payment.v1.PaymentService/Release", State: txnv1.BranchState_BRANCH_STATE_DONE, Attempts: 1, After: []string{"open"}, Request: []byte("x")},
			{Name: "confirm", Method: "/shop.order.v1.OrderService/Confirm", State: txnv1.BranchState_BRANCH_STATE_DONE, Attempts: 1, Pivot: true, After: []string{"hold"}},
			{Name: "capture", Method: "/shop.payment.v1.PaymentService/Capture", State: txnv1.BranchState_BRANCH_STATE_DOING, Attempts: 8, After: []string{"confirm"}, Error: "UNAVAILABLE: the bank does not answer", NextAttempt: ago(-40 * time.Second), Request: []byte("x")},
		},
	}
}

func (*txnWorld) List(_ context.Context, req *txnv1.ListRequest) (*txnv1.ListResponse, error) {
	out := &txnv1.ListResponse{}
	if req.GetParked() || len(req.GetStates()) == 0 {
		out.Transactions = append(out.Transactions, transaction(someGid))
	}
	for i := range 14 {
		state := txnv1.State_STATE_SUCCEEDED
		if i%5 == 3 {
			state = txnv1.State_STATE_FAILED
		}
		wanted := len(req.GetStates()) == 0
		for _, s := range req.GetStates() {
			wanted = wanted || s == state
		}
		if !wanted || req.GetParked() || req.GetGidPrefix() != "" && !strings.HasPrefix(someGid, req.GetGidPrefix()) {
			continue
		}
		t := &txnv1.Transaction{Gid: fmt.Sprintf("checkout/%d", 1041-i), Name: "checkout", State: state, CreateTime: ago(time.Duration(7+i) * time.Minute), EndTime: ago(time.Duration(7+i)*time.Minute - 180*time.Millisecond)}
		if state == txnv1.State_STATE_FAILED {
			t.Reason = "reserve: 3 of 22423 are wanted, 1 is there"
		}
		out.Transactions = append(out.Transactions, t)
	}
	if strings.HasPrefix("none", req.GetGidPrefix()) && req.GetGidPrefix() != "" {
		out.Transactions = nil
	}
	return out, nil
}

func (*txnWorld) Show(_ context.Context, req *txnv1.ShowRequest) (*txnv1.ShowResponse, error) {
	if !strings.HasPrefix(req.GetGid(), "checkout/") {
		return nil, status.Error(codes.NotFound, "there is no transaction "+req.GetGid())
	}
	attempt := func(branch string, op txnv1.Op, after, took time.Duration, kind txnv1.Outcome_Kind, number int32) *txnv1.Attempt {
		return &txnv1.Attempt{Branch: branch, Op: op, StartTime: timestamppb.New(time.Now().Add(-6*time.Minute + after)), Took: durationpb.New(took), Outcome: &txnv1.Outcome{Kind: kind}, Number: number}
	}
	out := &txnv1.ShowResponse{Transaction: transaction(req.GetGid()), Attempts: []*txnv1.Attempt{
		attempt("open", txnv1.Op_OP_ACTION, 0, 12*time.Millisecond, txnv1.Outcome_KIND_OK, 1), attempt("hold", txnv1.Op_OP_ACTION, 14*time.Millisecond, 31*time.Millisecond, txnv1.Outcome_KIND_OK, 1),
		attempt("confirm", txnv1.Op_OP_ACTION, 50*time.Millisecond, 9*time.Millisecond, txnv1.Outcome_KIND_OK, 1),
	}}
	for i := range 4 {
		a := attempt("capture", txnv1.Op_OP_ACTION, 62*time.Millisecond+time.Duration(i*i)*40*time.Millisecond, 25*time.Millisecond, txnv1.Outcome_KIND_RETRY, int32(i+1))
		a.Code, a.Outcome.Reason = int32(codes.Unavailable), "the bank does not answer"
		out.Attempts = append(out.Attempts, a)
	}
	return out, nil
}

func (x *txnWorld) Retry(_ context.Context, req *txnv1.RetryRequest) (*txnv1.Transaction, error) {
	x.world.did("retry " + req.GetGid() + " by " + req.GetBy().GetAuthor() + ": " + req.GetBy().GetReason())
	return transaction(req.GetGid()), nil
}

func (x *txnWorld) Skip(_ context.Context, req *txnv1.SkipRequest) (*txnv1.Transaction, error) {
	x.world.did("skip " + req.GetGid() + " " + req.GetBranch())
	return transaction(req.GetGid()), nil
}

func (x *txnWorld) Edit(_ context.Context, req *txnv1.EditRequest) (*txnv1.Transaction, error) {
	x.world.did(fmt.Sprintf("edit %s %s %s, forced: %v", req.GetGid(), req.GetBranch(), req.GetData(), req.GetForce()))
	return transaction(req.GetGid()), nil
}

type lettersWorld struct {
	eventsv1.UnimplementedLetterServiceServer
	world *world
}

func letter(id string) *eventsv1.Letter {
	return &eventsv1.Letter{
		Letter: id, Event: "01J9", Topic: "shop.order.v1.OrderPlaced", Key: "1042", Group: "notification", Handler: "onOrderPlaced", Attempts: 9, State: "dead",
		Reason: `send mail to customer 4711: connect to "smtp.example.com": connection refused`, PublishTime: ago(20 * time.Minute), DeathTime: ago(3 * time.Minute),
		Headers: map[string]string{"traceparent": "00-" + someTrace + "-00f067aa0ba902b7-01"}, Json: `{"orderId":"1042","total":{"currency":"EUR","amount":"2499"}}`,
	}
}

func (*lettersWorld) List(_ context.Context, req *eventsv1.ListRequest) (*eventsv1.ListResponse, error) {
	out := &eventsv1.ListResponse{}
	if req.GetFilter().GetState() == "dead" {
		for i := range 6 {
			out.Letters = append(out.Letters, letter(fmt.Sprintf("L%d", i)))
			if i >= 4 {
				out.Letters[i].Reason = fmt.Sprintf("customer %d has no address", 4700+i)
			}
		}
	}
	return out, nil
}

func (*lettersWorld) Show(_ context.Context, req *eventsv1.ShowRequest) (*eventsv1.Letter, error) {
	return letter(req.GetLetter()), nil
}

func (l *lettersWorld) Replay(ctx context.Context, req *eventsv1.ReplayRequest) (*eventsv1.ReplayResponse, error) {
	if !req.GetDryRun() {
		f := req.GetFilter()
		l.world.did("replay " + strings.Join(metadata.ValueFromIncomingContext(ctx, "warren-to"), "") + " " + f.GetTopic() + f.GetLetter())
	}
	switch req.GetFilter().GetLetter() {
	case "":
		return &eventsv1.ReplayResponse{Count: 6}, nil
	case "L5":
		return nil, status.Error(codes.FailedPrecondition, "the letter is settled")
	}
	return &eventsv1.ReplayResponse{Count: 1}, nil
}

type settingsWorld struct {
	settingsv1.UnimplementedSettingsServiceServer
	world *world
}

func (*settingsWorld) List(context.Context, *settingsv1.ListRequest) (*settingsv1.ListResponse, error) {
	return &settingsv1.ListResponse{Environment: "local", Revision: 7, Settings: []*settingsv1.Setting{
		{Name: "rpc.retry.attempts", Type: "int", Default: "3", Min: "1", Max: "10", Doc: "how often a call that may be repeated is tried"},
		{Name: "rpc.timeout", Type: "duration", Default: "2s", Min: "1ms", Max: "1h", Doc: "how long a call may take, retries included", Values: []*settingsv1.Value{
			{Scope: "all", Value: "1.5s", Layer: "centre"}, {Scope: "/shop.catalog.v1.CatalogService/ListProducts", Value: "300ms", Layer: "centre"}, {Scope: "all", Value: "3s", Layer: "file", Position: "warren.yaml:31:5"},
		}},
		{Name: "trace.sample", Type: "float", Default: "0.01", Min: "0", Max: "1", Doc: "which share of traces is kept", Values: []*settingsv1.Value{{Scope: "all", Value: "1", Layer: "file", Position: "warren.yaml:30:5"}}},
	}}, nil
}

func (*settingsWorld) History(context.Context, *settingsv1.HistoryRequest) (*settingsv1.HistoryResponse, error) {
	two, one := "2s", "1.5s"
	return &settingsv1.HistoryResponse{Changes: []*settingsv1.Change{
		{Revision: 7, Author: "ada", Time: ago(time.Hour), Reason: "the list is slow on Mondays", Edits: []*settingsv1.Edit{{Name: "rpc.timeout", Scope: "all", Old: &two, New: &one}}},
		{Revision: 6, Author: "grace", Time: ago(26 * time.Hour), Reason: "to begin with", Edits: []*settingsv1.Edit{{Name: "rpc.timeout", Scope: "all", New: &two}}},
	}}, nil
}

func (s *settingsWorld) InForce(ctx context.Context, req *settingsv1.InForceRequest) (*settingsv1.InForceResponse, error) {
	list, err := s.world.List(ctx, &fleetv1.ListRequest{})
	values := map[string]*settingsv1.Value{
		"rpc.retry.attempts": {Value: "3", Layer: "default"}, "rpc.timeout": {Value: "1.5s", Layer: "centre", Scope: "all"},
		"trace.sample": {Value: "1", Layer: "file", Scope: "all", Position: "warren.yaml:30:5"},
	}
	out := &settingsv1.InForceResponse{Revision: 7}
	for _, i := range list.GetInstances() {
		out.Values = append(out.Values, &settingsv1.InForce{
			Setting: req.GetSetting(), Instance: i.GetId(), Service: i.GetService(), State: "ready", Revision: i.GetSettingsRevision(), Value: values[req.GetSetting()],
		})
	}
	return out, err
}

func (*settingsWorld) Diff(context.Context, *settingsv1.DiffRequest) (*settingsv1.DiffResponse, error) {
	two, one := "2s", "1.5s"
	return &settingsv1.DiffResponse{Edits: []*settingsv1.Edit{{Name: "rpc.timeout", Scope: "all", Old: &two, New: &one}}}, nil
}

func (s *settingsWorld) Set(_ context.Context, req *settingsv1.SetRequest) (*settingsv1.Change, error) {
	e := req.GetEdits()[0]
	if e.GetNew() == "never" {
		return nil, status.Error(codes.InvalidArgument, "rpc.timeout: want a duration such as 300ms")
	}
	s.world.did(fmt.Sprintf("set %s=%s on %s by %s: %s", e.GetName(), e.GetNew(), e.GetScope(), req.GetAuthor(), req.GetReason()))
	return &settingsv1.Change{Revision: 8, Edits: req.GetEdits()}, nil
}

type contractsWorld struct {
	contractsv1.UnimplementedContractServiceServer
	world *world
}

func (contractsWorld) List(context.Context, *contractsv1.ListRequest) (*contractsv1.ListResponse, error) {
	out := &contractsv1.ListResponse{}
	for _, name := range []string{"catalog", "order", "payment"} {
		out.Contracts = append(out.Contracts, &contractsv1.Contract{
			Name: "shop." + name + ".v1." + strings.ToUpper(name[:1]) + name[1:] + "Service", Services: []string{name}, Instances: []*contractsv1.Instance{{Id: name + "/1", Service: name, State: "ready"}},
		})
	}
	out.Contracts = append(out.Contracts, &contractsv1.Contract{Name: "warren.events.v1.LetterService", Services: []string{"notification"}, Instances: []*contractsv1.Instance{{Id: "notification/1", Service: "notification", State: "ready"}}})
	return out, nil
}

func (c contractsWorld) Describe(ctx context.Context, req *contractsv1.DescribeRequest) (*contractsv1.DescribeResponse, error) {
	list, err := c.List(ctx, nil)
	return &contractsv1.DescribeResponse{
		Contract: list.GetContracts()[2], Doc: "PaymentService moves money between customers and the shop.",
		Methods: []*contractsv1.Method{
			{Name: "Hold", Access: "internal", Idempotent: true, Timeout: durationpb.New(2 * time.Second), IdempotencyKey: "required", Input: "shop.payment.v1.HoldRequest", Output: "shop.payment.v1.Hold", Compensate: "Release", Example: "{\n  \"orderId\": \"\",\n  \"amount\": \"0\"\n}"},
			{Name: "GetWallet", Access: "authenticated", Safe: true, Idempotent: true, IdempotencyKey: "none", Routes: []*contractsv1.Route{{Method: "GET", Path: "/v1/wallet"}}, Input: "shop.payment.v1.GetWalletRequest", Output: "shop.payment.v1.Wallet", Example: "{}"},
		},
		Messages: []*contractsv1.Message{{Name: "shop.payment.v1.HoldRequest", Fields: []*contractsv1.Field{{Name: "orderId", Type: "string"}, {Name: "amount", Type: "int64"}, {Name: "cardToken", Type: "string", Secret: true}}}, {Name: "shop.payment.v1.GetWalletRequest"}},
	}, err
}

func (contractsWorld) Decode(context.Context, *contractsv1.DecodeRequest) (*contractsv1.DecodeResponse, error) {
	return &contractsv1.DecodeResponse{Json: `{"orderId":"1042","amount":"2499"}`}, nil
}

func (contractsWorld) Encode(_ context.Context, req *contractsv1.EncodeRequest) (*contractsv1.EncodeResponse, error) {
	return &contractsv1.EncodeResponse{Data: []byte(req.GetJson())}, nil
}

type tracesWorld struct {
	observev1.UnimplementedTraceServiceServer
}

func summary(id, name string, errors int32, took time.Duration) *observev1.TraceSummary {
	return &observev1.TraceSummary{
		TraceId: id, Service: "gateway", Name: name, Services: []string{"gateway", "order", "payment", "inventory", "shipping", "coordinator"}, Spans: 23, Errors: errors, Start: ago(2 * time.Minute),
		Duration: durationpb.New(took), OrderId: "1042", Gid: someGid,
	}
}

func (tracesWorld) Search(_ context.Context, req *observev1.SearchTracesRequest) (*observev1.SearchTracesResponse, error) {
	out := &observev1.SearchTracesResponse{Traces: []*observev1.TraceSummary{summary(someTrace, "POST /v1/orders", 3, 412*time.Millisecond)}}
	if !req.GetErrorsOnly() {
		out.Traces = append(out.Traces, calm().GetSummary())
	}
	for i := range 8 {
		if !req.GetErrorsOnly() {
			out.Traces = append(out.Traces, summary(fmt.Sprintf("%032x", i+1), "GET /v1/products", 0, time.Duration(9*(i+1))*time.Millisecond))
		}
	}
	return out, nil
}

func (tracesWorld) Names(context.Context, *observev1.NamesRequest) (*observev1.NamesResponse, error) {
	out := &observev1.NamesResponse{Attributes: []string{"http.route", "rpc.method"}}
	for _, name := range shopServices {
		out.Services = append(out.Services, &observev1.ServiceNames{Service: name, Operations: []string{"GET /v1/products", "POST /v1/orders"}})
	}
	return out, nil
}

func (tracesWorld) Get(_ context.Context, req *observev1.GetTraceRequest) (*observev1.GetTraceResponse, error) {
	switch req.GetTraceId() {
	case calmTrace:
		return calm(), nil
	case longTrace:
		return long(), nil
	}
	if req.GetTraceId() != someTrace {
		return nil, status.Error(codes.NotFound, "the trace is not kept: it was never recorded, or it was dropped since")
	}
	out := &observev1.GetTraceResponse{Summary: summary(someTrace, "POST /v1/orders", 3, 412*time.Millisecond), Resources: []*observev1.Resource{{Service: "payment", Instance: "payment/1", Version: "v1.4.2"}}}
	begin := out.GetSummary().GetStart().AsTime()
	for i, s := range []struct {
		service, name string
		depth         int32
		at, took      int
		failed        bool
		critical      bool
	}{
		{"gateway", "POST /v1/orders", 0, 0, 412, false, true}, {"order", "shop.order.v1.OrderService/CreateOrder", 1, 3, 404, false, true}, {"order", "SELECT orders", 2, 6, 3, false, false},
		{"catalog", "shop.catalog.v1.CatalogService/GetProducts", 2, 11, 18, false, false}, {"catalog", "SELECT products", 3, 13, 9, false, false}, {"coordinator", "warren.txn.v1.CoordinatorService/Submit", 2, 33, 370, false, true},
		{"inventory", "shop.inventory.v1.InventoryService/Reserve", 3, 38, 24, false, false}, {"payment", "shop.payment.v1.PaymentService/Hold", 3, 38, 41, false, true}, {"payment", "shop.payment.v1.PaymentService/Capture", 3, 96, 84, true, false},
		{"payment", "shop.payment.v1.PaymentService/Capture", 3, 190, 88, true, false}, {"payment", "shop.payment.v1.PaymentService/Capture", 3, 300, 100, true, true}, {"shipping", "process OrderConfirmed", 3, 110, 30, false, false},
	} {
		one := &observev1.Span{
			SpanId: fmt.Sprintf("%016x", i+1), Service: s.service, Name: s.name, Depth: s.depth, Start: timestamppb.New(begin.Add(time.Duration(s.at) * time.Millisecond)), Duration: durationpb.New(time.Duration(s.took) * time.Millisecond),
			Critical: s.critical, Self: durationpb.New(time.Millisecond), Attributes: []*observev1.Attribute{{Key: "rpc.system.name", Value: &observev1.Attribute_Text{Text: "grpc"}}, {Key: "attempt", Value: &observev1.Attribute_Integer{Integer: 2}}},
		}
		if s.failed {
			one.Status, one.StatusMessage = observev1.SpanStatus_SPAN_STATUS_ERROR, "UNAVAILABLE: the bank does not answer"
		}
		if i == 11 {
			one.Kind, one.Links = observev1.SpanKind_SPAN_KIND_CONSUMER, []*observev1.SpanLink{{TraceId: someTrace, SpanId: "0000000000000001"}}
		}
		out.Spans = append(out.Spans, one)
	}
	out.Spans = append(out.Spans, handled(begin)...)
	return out, nil
}

func (tracesWorld) Topology(_ context.Context, req *observev1.TopologyRequest) (*observev1.TopologyResponse, error) {
	if large := madeUpTopology(req.GetServices()); large != nil {
		return large, nil
	}
	out := &observev1.TopologyResponse{}
	node := func(id string, kind observev1.NodeKind, errors int64) {
		_, name, _ := strings.Cut(id, ":")
		out.Nodes = append(out.Nodes, &observev1.TopologyNode{Id: id, Kind: kind, Name: name, Calls: 4000, Errors: errors, P95: durationpb.New(38 * time.Millisecond)})
	}
	for _, name := range []string{"catalog", "coordinator", "gateway", "inventory", "notification", "order", "payment", "shipping"} {
		node("service:"+name, observev1.NodeKind_NODE_KIND_SERVICE, map[bool]int64{true: 600, false: 0}[name == "payment"])
	}
	for _, name := range []string{"sqlite/order.db", "sqlite/payment.db", "sqlite/catalog.db"} {
		node("database:"+name, observev1.NodeKind_NODE_KIND_DATABASE, 0)
	}
	node("topic:shop.order.v1.OrderPlaced", observev1.NodeKind_NODE_KIND_TOPIC, 0)
	for _, e := range []struct {
		from, to string
		errors   int64
	}{
		{"service:gateway", "service:order", 40}, {"service:gateway", "service:catalog", 0}, {"service:order", "service:coordinator", 0}, {"service:coordinator", "service:order", 0}, {"service:coordinator", "service:payment", 600}, {"service:coordinator", "service:inventory", 0},
		{"service:coordinator", "service:shipping", 0}, {"service:order", "service:catalog", 0}, {"service:order", "database:sqlite/order.db", 0}, {"service:payment", "database:sqlite/payment.db", 0}, {"service:catalog", "database:sqlite/catalog.db", 0},
		{"service:order", "topic:shop.order.v1.OrderPlaced", 0}, {"topic:shop.order.v1.OrderPlaced", "service:notification", 0},
	} {
		out.Edges = append(out.Edges, &observev1.TopologyEdge{Versions: released(e.to), From: e.from, To: e.to, Calls: 4000, Errors: e.errors, CallsPerSecond: 4.4, P50: durationpb.New(6 * time.Millisecond), P95: durationpb.New(38 * time.Millisecond)})
	}
	return out, nil
}

type logsWorld struct {
	observev1.UnimplementedLogServiceServer
}

func (logsWorld) Search(_ context.Context, req *observev1.SearchLogsRequest) (*observev1.SearchLogsResponse, error) {
	out := &observev1.SearchLogsResponse{}
	switch query := req.GetFilter().GetQuery(); {
	case strings.Contains(query, "nothing"):
		return out, nil
	case req.GetFilter().GetTraceId() != "":
		return &observev1.SearchLogsResponse{Lines: linesOfSpans()}, nil
	case strings.Contains(query, "instance ejected"):
		return &observev1.SearchLogsResponse{Lines: []*observev1.LogLine{ejected()}}, nil
	}
	for i := range 60 {
		l := &observev1.LogLine{Id: fmt.Sprintf("l%d", i), Time: ago(time.Duration(i) * 700 * time.Millisecond), Level: observev1.LogLevel_LOG_LEVEL_INFO, Service: shopServices[i%6], Instance: shopServices[i%6] + "/1", TraceId: someTrace, Message: "order taken", Attributes: []*observev1.Attribute{{Key: "order_id", Value: &observev1.Attribute_Text{Text: "1042"}}}}
		if i%11 == 4 {
			l.Level, l.Message = observev1.LogLevel_LOG_LEVEL_WARN, "slow query"
		}
		if i%17 == 6 {
			l.Level, l.Message = observev1.LogLevel_LOG_LEVEL_ERROR, "charge refused: the bank does not answer"
		}
		out.Lines = append(out.Lines, l)
	}
	if req.GetFacets() {
		out.FacetsPartial = true
		for i := range 40 {
			out.Histogram = append(out.Histogram, &observev1.LogBucket{Start: ago(time.Duration(40-i) * 20 * time.Second), Info: int64(20 + (i*7)%19), Warn: int64(i % 4), Error: int64(i / 30 * (i % 5))})
		}
		out.Facets = []*observev1.LogFacet{{Name: "service", Values: []*observev1.LogFacetValue{{Value: "order", Lines: 4182}, {Value: "payment", Lines: 2004}}}, {Name: "level", Values: []*observev1.LogFacetValue{{Value: "info", Lines: 5882}, {Value: "error", Lines: 41}}}}
	}
	return out, nil
}

func (l logsWorld) Around(ctx context.Context, _ *observev1.AroundLogsRequest) (*observev1.AroundLogsResponse, error) {
	found, err := l.Search(ctx, &observev1.SearchLogsRequest{})
	return &observev1.AroundLogsResponse{Lines: found.GetLines()[:20]}, err
}
