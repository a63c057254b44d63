package alerting

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/metricstore"
)

// Service answers the contract of alerts.
func (e *Engine) Service() observev1.AlertServiceServer { //nolint:ireturn // what is registered is an interface
	return &service{engine: e}
}

type service struct {
	observev1.UnimplementedAlertServiceServer
	engine *Engine
}

func (v *service) ListAlerts(_ context.Context, req *observev1.ListAlertsRequest) (*observev1.ListAlertsResponse, error) {
	out := &observev1.ListAlertsResponse{}
	for _, r := range v.engine.store.Rules() {
		if r.Alert == "" {
			continue
		}
		if len(r.Alerts) == 0 && req.GetInactive() {
			idle := metricstore.Alert{Name: r.Alert, State: metricstore.Inactive, Labels: r.Labels}
			out.Alerts = append(out.Alerts, v.alert(r, idle))
		}
		for _, a := range r.Alerts {
			out.Alerts = append(out.Alerts, v.alert(r, a))
		}
	}
	out.Alerts = slices.DeleteFunc(out.GetAlerts(), func(a *observev1.Alert) bool {
		return len(req.GetServices()) > 0 && !slices.Contains(req.GetServices(), a.GetLabels()["service"])
	})
	slices.SortStableFunc(out.GetAlerts(), func(a, b *observev1.Alert) int {
		return cmp.Or(cmp.Compare(b.GetState(), a.GetState()), cmp.Compare(gravity(a), gravity(b)), strings.Compare(a.GetName(), b.GetName()))
	})
	return out, nil
}

func gravity(a *observev1.Alert) int {
	return slices.Index([]string{Page, Ticket, Info, None}, a.GetSeverity())
}

func (v *service) alert(r metricstore.RuleState, a metricstore.Alert) *observev1.Alert {
	out := &observev1.Alert{
		Name: r.Alert, State: stateToProto(a.State), Severity: r.Labels[severityLabel], Labels: a.Labels, Annotations: a.Annotations,
		Expression: r.Expr, Value: a.Value,
	}
	if a.State == metricstore.Inactive {
		return out
	}
	out.Silence = v.engine.silences.of(a.Labels)
	out.Since = timestamppb.New(a.Since)
	if a.State == metricstore.Firing {
		out.Fired = timestamppb.New(v.engine.fired(a))
	}
	return out
}

// fired is since when an alert fires, maybe since before a restart.
func (e *Engine) fired(a metricstore.Alert) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.active[fingerprint(a.Labels)]; f != nil && f.Alert.Resolved.IsZero() {
		return f.Alert.Fired
	}
	return a.Fired
}

func stateToProto(s metricstore.State) observev1.Alert_State {
	return map[metricstore.State]observev1.Alert_State{
		metricstore.Inactive: observev1.Alert_STATE_INACTIVE,
		metricstore.Pending:  observev1.Alert_STATE_PENDING,
		metricstore.Firing:   observev1.Alert_STATE_FIRING,
	}[s]
}

// gravest is the state of a rule whose alerts these are.
func gravest(alerts []metricstore.Alert) observev1.Alert_State {
	out := observev1.Alert_STATE_INACTIVE
	for _, a := range alerts {
		out = max(out, stateToProto(a.State))
	}
	return out
}

func (v *service) ListRules(context.Context, *observev1.ListRulesRequest) (*observev1.ListRulesResponse, error) {
	out := &observev1.ListRulesResponse{}
	sources := v.engine.sources()
	for _, r := range v.engine.store.Rules() {
		one := &observev1.Rule{
			Group: r.Group, Name: r.Name(), Recording: r.Record != "", Expression: r.Expr,
			For: durationpb.New(r.For), KeepFiringFor: durationpb.New(r.KeepFiringFor),
			Labels: r.Labels, Annotations: r.Annotations, Severity: r.Labels[severityLabel],
			Error: r.Err, Took: durationpb.New(r.Took), Source: sources[r.Group],
		}
		if r.Alert != "" {
			one.State = gravest(r.Alerts)
		}
		if !r.Evaluated.IsZero() {
			one.Evaluated = timestamppb.New(r.Evaluated)
		}
		out.Rules = append(out.Rules, one)
	}
	return out, nil
}

// sources says of each group where it comes from.
func (e *Engine) sources() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]string{}
	for _, g := range Shipped() {
		out[g.Name] = own
	}
	for _, o := range e.config.All() {
		out["slo-"+o.Name] = o.Source
	}
	for _, g := range e.config.Groups {
		out[g.Name] = e.config.Source
	}
	return out
}

func (v *service) ListSLOs(ctx context.Context, _ *observev1.ListSLOsRequest) (*observev1.ListSLOsResponse, error) {
	e := v.engine
	e.mu.Lock()
	objectives, timing := e.config.All(), e.timing
	if timing.Period == 0 {
		timing.Period = e.config.Period
	}
	e.mu.Unlock()
	now := time.Now()
	ratios, err := e.store.Query(ctx, errorRatio, now, 0)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	out := &observev1.ListSLOsResponse{}
	for _, o := range objectives {
		one, err := v.slo(ctx, o, timing, ratios.Series, now)
		if err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
		out.Slos = append(out.Slos, one)
	}
	return out, nil
}

func (v *service) slo(ctx context.Context, o Objective, t Timing, ratios []metricstore.Series, now time.Time) (*observev1.SLO, error) {
	period := o.period(t)
	out := &observev1.SLO{
		Name: o.Name, Description: o.Description, Service: o.Service, Objective: o.Target, Period: durationpb.New(period), Source: o.Source,
	}
	total := func(name string) string {
		return "sum_over_time(" + name + o.selector(nil) + "[" + metricstore.FormatDuration(period) + "])"
	}
	over := total(badRate) + " / " + total(allRate)
	r, err := v.engine.store.Query(ctx, over, now, 0)
	if err != nil {
		return nil, err
	}
	if bad, ok := first(r.Series); ok {
		good, left := 1-bad, 1-bad/(1-o.Target)
		out.Current, out.BudgetLeft = &good, &left
	}
	for _, w := range windows(period, t.Scrape) {
		for _, length := range []time.Duration{w.short, w.long} {
			burn := &observev1.Burn{Window: durationpb.New(length), Threshold: w.rate, Severity: w.severity}
			match := slices.IndexFunc(ratios, func(s metricstore.Series) bool {
				return s.Labels["slo"] == o.Name && s.Labels["window"] == metricstore.FormatDuration(length)
			})
			if match >= 0 {
				if bad, ok := first(ratios[match : match+1]); ok {
					rate := bad / (1 - o.Target)
					burn.Rate = &rate
				}
			}
			out.Burns = append(out.Burns, burn)
		}
	}
	slices.SortStableFunc(out.GetBurns(), func(a, b *observev1.Burn) int {
		return cmp.Compare(a.GetWindow().AsDuration(), b.GetWindow().AsDuration())
	})
	for _, rule := range v.engine.store.Rules() {
		if rule.Group == "slo-"+o.Name && rule.Alert != "" {
			out.State = max(out.GetState(), gravest(rule.Alerts))
		}
	}
	return out, nil
}

// first is the value of a single series; without events there is none.
func first(series []metricstore.Series) (float64, bool) {
	if len(series) != 1 || len(series[0].Points) != 1 || math.IsNaN(series[0].Points[0].Value) {
		return 0, false
	}
	return series[0].Points[0].Value, true
}

func (v *service) ListSilences(_ context.Context, req *observev1.ListSilencesRequest) (*observev1.ListSilencesResponse, error) {
	out := &observev1.ListSilencesResponse{}
	for _, s := range v.engine.silences.list(req.GetEnded()) {
		out.Silences = append(out.Silences, silenceToProto(s))
	}
	return out, nil
}

func silenceToProto(s Silence) *observev1.SilenceEntry {
	out := &observev1.SilenceEntry{Id: s.ID, Starts: timestamppb.New(s.Starts), Ends: timestamppb.New(s.Ends), Author: s.Author, Reason: s.Reason}
	for _, m := range s.Matchers {
		out.Matchers = append(out.Matchers, &observev1.Matcher{Label: m.Label, Value: m.Value, Regex: m.Regex, Negative: m.Negative})
	}
	return out
}

func (v *service) Silence(_ context.Context, req *observev1.SilenceRequest) (*observev1.SilenceResponse, error) {
	one := Silence{Author: req.GetAuthor(), Reason: req.GetReason()}
	for _, m := range req.GetMatchers() {
		one.Matchers = append(one.Matchers, Matcher{Label: m.GetLabel(), Value: m.GetValue(), Regex: m.GetRegex(), Negative: m.GetNegative()})
	}
	one, err := v.engine.silences.add(one, req.GetDuration().AsDuration())
	if err != nil {
		return nil, statusOf(err)
	}
	v.engine.log.Info("alerts silenced", "id", one.ID, "author", one.Author, "reason", one.Reason, "until", one.Ends)
	return &observev1.SilenceResponse{Silence: silenceToProto(one)}, nil
}

func (v *service) Unsilence(_ context.Context, req *observev1.UnsilenceRequest) (*observev1.UnsilenceResponse, error) {
	if err := v.engine.silences.end(req.GetId()); err != nil {
		return nil, statusOf(err)
	}
	v.engine.log.Info("silence ended", "id", req.GetId())
	return &observev1.UnsilenceResponse{}, nil
}

func statusOf(err error) error {
	switch {
	case errors.Is(err, ErrSilence):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, ErrNoSilence):
		return status.Error(codes.NotFound, err.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

// listed is how many entries of a journal are shown where nobody says.
const listed = 100

func (v *service) History(_ context.Context, req *observev1.HistoryRequest) (*observev1.HistoryResponse, error) {
	out := &observev1.HistoryResponse{}
	since := req.GetSince().AsTime()
	for _, c := range v.engine.history.latest(int(cmp.Or(req.GetLimit(), listed)), func(c Change) bool {
		return (req.GetName() == "" || c.Name == req.GetName()) && (req.GetSince() == nil || !c.Time.Before(since))
	}) {
		value, _ := strconv.ParseFloat(c.Text, 64) // we wrote it
		out.Changes = append(out.Changes, &observev1.Change{
			Time: timestamppb.New(c.Time), Name: c.Name, Resolved: c.Resolved, Severity: c.Severity, Labels: c.Labels, Annotations: c.Annotations, Value: value,
		})
	}
	return out, nil
}

func (v *service) Deliveries(_ context.Context, req *observev1.DeliveriesRequest) (*observev1.DeliveriesResponse, error) {
	out := &observev1.DeliveriesResponse{}
	for _, d := range v.engine.tries.latest(int(cmp.Or(req.GetLimit(), listed)), func(Delivery) bool { return true }) {
		out.Deliveries = append(out.Deliveries, &observev1.Delivery{
			Time: timestamppb.New(d.Time), Receiver: d.Receiver, Kind: d.Kind, Id: d.ID, Attempt: int32(d.Attempt), Alerts: d.Alerts,
			Resolved: d.Resolved, Error: d.Err, Retried: d.Err != "",
		})
	}
	return out, nil
}
