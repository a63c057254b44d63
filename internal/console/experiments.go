package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type experimentsView struct {
	Running, Over, all *frame.Table
	Hit                *frame.Chart
	Plan               plannedFault
	Says               string
	Kinds, Begin       []tab
	Services, Codes    []string
	Methods            []choice
	Problem, Whole     string
	Radius             *radiusView
}

// choice is one of a list to choose from.
type choice struct {
	Value, Name string
	Here        bool
}

// Export are all experiments.
func (v experimentsView) Export() *frame.Table { return v.all }

// radiusView is what an experiment would hit, before anybody starts it.
type radiusView struct {
	Name, Fault, Where string
	Facts              []fact
	Hit                []hitList
	Warnings           []string
	Start              frame.Link
	Command, File      string
}

// hitList is one kind of what is hit.
type hitList struct {
	Name, Empty string
	Names       []string
}

func (s *screens) experimentList(r *frame.Request) (any, error) {
	list, err := s.experiments.List(r.Context(), &observev1.ExperimentServiceListRequest{Ended: true})
	if err != nil {
		return nil, err
	}
	v := experimentsView{Plan: planOf(r), Codes: faultCodes()}
	v.tables(r, list.GetExperiments())
	chart, _, err := s.chart(r, plan{
		"hit", "Calls that were hit", "/s", "sum by (kind, rpc_method) (rate(warren_rpc_faults_total[" + window + "]))",
		func(l map[string]string) string { return l["kind"] + " " + strings.TrimPrefix(l["rpc_method"], "/") },
	})
	r.Missing("How many calls were hit", err)
	if len(chart.Lines) > 0 {
		chart.Marks, v.Hit = s.marks(r, ""), &chart
	}
	for _, k := range faultKinds() {
		v.Kinds = append(v.Kinds, tab{k.title, "/experiments?" + v.Plan.as(k.kind).query(), k.kind == v.Plan.Kind})
		if k.kind == v.Plan.Kind {
			v.Says = k.says
		}
	}
	fleet, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{})
	r.Missing("Services to choose from", err)
	v.Services, _ = byService(fleet.GetInstances())
	v.Begin = presets(v.Services, v.Plan)
	methods, err := s.methodsOf(r.Context(), v.Plan.Service)
	r.Missing("Methods to choose from", err)
	if v.Plan.Method != "" && !slices.Contains(methods, v.Plan.Method) {
		methods = append(methods, v.Plan.Method)
	}
	for _, m := range methods {
		v.Methods = append(v.Methods, choice{m, shortMethod(m), m == v.Plan.Method})
	}
	if v.Plan.complete() {
		v.Radius, err = s.radius(r, v.Plan)
		if err != nil {
			v.Problem = sayShort(err)
			if v.Plan.Method != "" {
				v.Whole = r.With("method", "")
			}
		}
	}
	return v, nil
}

// sayShort is what an error says on a page that goes on without.
func sayShort(err error) string {
	if p, ok := errors.AsType[*frame.Problem](err); ok {
		return p.Text
	}
	return frame.Say(err)
}

// as is the plan with another fault at the same place.
func (p plannedFault) as(kind string) plannedFault {
	p.Kind = kind
	return p
}

// faultCodes are those that a call can be answered with.
func faultCodes() []string {
	return []string{
		"UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "CANCELLED", "DATA_LOSS", "UNIMPLEMENTED",
		"FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "OUT_OF_RANGE", "PERMISSION_DENIED", "UNAUTHENTICATED",
	}
}

// methodsOf are the methods that a service serves.
func (s *screens) methodsOf(ctx context.Context, service string) ([]string, error) {
	if service == "" {
		return nil, nil
	}
	contracts, err := s.served(ctx, service)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range contracts {
		d, err := s.contracts.Describe(ctx, &contractsv1.DescribeRequest{Contract: name})
		if err != nil {
			return nil, err
		}
		for _, m := range d.GetMethods() {
			out = append(out, name+"/"+m.GetName())
		}
	}
	return out, nil
}

// presets are plans to begin with: those of the shop, where it is the shop that
// runs, and otherwise one of the first service.
func presets(services []string, now plannedFault) []tab {
	all := []struct {
		name string
		plan plannedFault
	}{
		{"Payment is slow", plannedFault{Kind: "latency", Service: "payment", Delay: "2s", Share: "100", For: "2m"}},
		{"Payment fails now and then", plannedFault{Kind: "error", Service: "payment", Code: "UNAVAILABLE", Share: "30", For: "2m"}},
		{"The catalogue crashes", plannedFault{Kind: "kill", Service: "catalog", Every: "20s", For: "2m"}},
		{"Orders are cut off from prices", plannedFault{Kind: "partition", Caller: "order", Service: "catalog", For: "2m"}},
		{"Stock is slow for a few", plannedFault{Kind: "latency", Service: "inventory", Delay: "800ms", Jitter: "400ms", Share: "10", For: "5m"}},
	}
	own := slices.DeleteFunc(slices.Clone(services), func(name string) bool { return name == "gateway" || name == "coordinator" })
	if !slices.Contains(own, "payment") && len(own) > 0 {
		first := own[0]
		all = append(all[:0:0], []struct {
			name string
			plan plannedFault
		}{
			{first + " is slow", plannedFault{Kind: "latency", Service: first, Delay: "2s", Share: "100", For: "2m"}},
			{first + " fails now and then", plannedFault{Kind: "error", Service: first, Code: "UNAVAILABLE", Share: "30", For: "2m"}},
			{first + " crashes", plannedFault{Kind: "kill", Service: first, Every: "20s", For: "2m"}},
			{first + " can't be reached", plannedFault{Kind: "partition", Caller: "gateway", Service: first, For: "2m"}},
		}...)
	}
	var out []tab
	for _, one := range all {
		if slices.Contains(services, one.plan.Service) && (one.plan.Caller == "" || slices.Contains(services, one.plan.Caller)) {
			out = append(out, tab{one.name, "/experiments?" + one.plan.query(), one.plan.query() == now.query()})
		}
	}
	return out
}

// tables list what runs, and what is over.
func (v *experimentsView) tables(r *frame.Request, all []*observev1.Experiment) {
	var running, over []*observev1.Experiment
	for _, e := range all {
		if e.GetState() == observev1.Experiment_STATE_RUNNING {
			running = append(running, e)
		} else {
			over = append(over, e)
		}
	}
	const enough = 50
	now := experimentTable("Running", running, r)
	past := experimentTable("Over", over[:min(enough, len(over))], r)
	if len(over) > enough {
		past.Note = fmt.Sprintf("the last %d of %d", enough, len(over))
	}
	now.Empty = frame.Empty{
		Title: "No experiment runs",
		Text: "A system that is said to survive a slow payment service should be seen to. An experiment puts a fault into calls for a time, " +
			"and takes it back by itself. Plan one below: what it would hit is shown before anything happens.",
		Code: plannedFault{Kind: "latency", Service: "payment", Delay: "2s", Share: "50", For: "2m"}.command(),
	}
	past.Empty = frame.Empty{Title: "None is over", Text: "Those that have ended are kept here, with who began them and why."}
	v.Running, v.Over, v.all = r.Sorted(now, "-since"), r.Sorted(past, "-since"), experimentRecords(all, r)
}

func experimentTable(caption string, all []*observev1.Experiment, r *frame.Request) frame.Table {
	t := frame.Table{
		Caption: caption, Note: strconv.Itoa(len(all)),
		Columns: []frame.Column{
			{Key: "name", Title: "Experiment"}, {Key: "where", Title: "Where", Wide: true}, {Key: "state", Title: "State"},
			{Key: "since", Title: "Since", Number: true, Wide: true}, {Key: "who", Title: "Who", Wide: true}, {Title: "", Fixed: true},
		},
	}
	for _, e := range all {
		where, method := whereText(e.GetFault())
		again := "/experiments?" + planOfFault(e).query()
		act := frame.Link{Text: "Again", Href: again}
		if e.GetState() == observev1.Experiment_STATE_RUNNING && r.May("operator") {
			act = frame.Link{Text: "Stop", Href: "/experiments/" + e.GetName() + "/stop", Asks: true, Danger: true}
		}
		t.Rows = append(t.Rows, frame.Row{
			ID: fmt.Sprintf("experiment-%s-%d", e.GetName(), e.GetStarted().AsTime().UnixMilli()), Href: again, Cells: []frame.Cell{
				{Text: e.GetName(), Sub: where + ": " + faultText(e.GetFault())}, {Text: where, Sub: shortMethod(method), Title: method}, experimentState(e, r.Now),
				frame.At(e.GetStarted().AsTime()), {Text: cmp.Or(e.GetAuthor(), "–"), Sub: brief(e.GetReason()), Title: e.GetReason()},
				{Actions: []frame.Link{act}},
			},
		})
	}
	return t
}

// experimentRecords are experiments with all that is known of them, for other
// programs.
func experimentRecords(all []*observev1.Experiment, r *frame.Request) *frame.Table {
	t := &frame.Table{Columns: []frame.Column{
		{Title: "Experiment"}, {Title: "State"}, {Title: "Fault"}, {Title: "Where"}, {Title: "Method"}, {Title: "Since"}, {Title: "Ends"},
		{Title: "Who"}, {Title: "Why"}, {Title: "Stopped by"}, {Title: "Kills"},
	}}
	for _, e := range all {
		where, method := whereText(e.GetFault())
		t.Rows = append(t.Rows, frame.Row{Cells: []frame.Cell{
			frame.Text(e.GetName()), experimentState(e, r.Now), frame.Text(faultText(e.GetFault())), frame.Text(where), frame.Text(method),
			frame.At(e.GetStarted().AsTime()), frame.At(e.GetEnds().AsTime()), frame.Text(e.GetAuthor()), frame.Text(e.GetReason()),
			frame.Text(e.GetStoppedBy()), frame.Text(strconv.Itoa(int(e.GetKills()))),
		}})
	}
	return t
}

// shortMethod leaves of a method what tells it from others.
func shortMethod(method string) string {
	contract, name, ok := strings.Cut(method, "/")
	if !ok {
		return method
	}
	return shortName(contract) + "/" + name
}

func shortMethods(all []string) []string {
	var out []string
	for _, m := range all {
		out = append(out, shortMethod(m))
	}
	return out
}

// experimentState is how far an experiment is, with the share of its time that
// is left.
func experimentState(e *observev1.Experiment, now time.Time) frame.Cell {
	switch e.GetState() {
	case observev1.Experiment_STATE_RUNNING:
		c := frame.Stated("running", frame.Warn)
		left := max(0, e.GetEnds().AsTime().Sub(now))
		c.Share = min(1, float64(left)/float64(max(1, e.GetEnds().AsTime().Sub(e.GetStarted().AsTime()))))
		c.Sub, c.Title = frame.Span(left.Round(time.Second))+" left", "until "+e.GetEnds().AsTime().Local().Format(time.TimeOnly)
		if e.GetFault().GetKill() != nil {
			c.Sub += ", " + plural(int(e.GetKills()), "kill")
		}
		return c
	case observev1.Experiment_STATE_STOPPED:
		c := frame.Stated("stopped", frame.Idle)
		c.Sub = "by " + cmp.Or(e.GetStoppedBy(), "somebody")
		return c
	}
	c := frame.Stated("ended", frame.Good)
	c.Sub = "after " + frame.Span(e.GetEnds().AsTime().Sub(e.GetStarted().AsTime()).Round(time.Second))
	return c
}

// radius asks what a plan would hit; nothing happens.
func (s *screens) radius(r *frame.Request, p plannedFault) (*radiusView, error) {
	e, err := s.dryRun(r, p)
	if err != nil {
		return nil, err
	}
	where, method := whereText(e.GetFault())
	hit := e.GetRadius()
	lasts := e.GetEnds().AsTime().Sub(e.GetStarted().AsTime())
	v := &radiusView{
		Name: e.GetName(), Fault: faultText(e.GetFault()), Where: where, Warnings: hit.GetWarnings(),
		Start:   frame.Link{Text: "Start…", Href: "/experiments/start?" + p.query()},
		Command: p.command(), File: p.file(),
	}
	v.Facts = []fact{
		{"Fault", v.Fault}, {"Where", strings.TrimSpace(where + " " + shortMethod(method))}, {"For", frame.Span(lasts)},
		{"How much of it", shareText(e.GetFault())},
	}
	if rate, err := s.callsTo(r.Context(), hit); err == nil && (p.Kind == "latency" || p.Kind == "error") {
		v.Facts = append(v.Facts, fact{"They are called now", frame.Amount(rate, "/s")})
	}
	v.Hit = []hitList{
		{"Instances", "no instance", hit.GetInstances()}, {"Callers", "traces of the last hour show none", hit.GetCallers()},
		{"Methods", "no method", shortMethods(hit.GetMethods())},
	}
	return v, nil
}

func shareText(f *observev1.Fault) string {
	share := max(f.GetLatency().GetShare(), f.GetError().GetShare())
	switch {
	case f.GetKill() != nil:
		return "one instance at a time"
	case share > 0 && share < 1:
		return frame.Amount(share, "%") + " of the calls"
	}
	return "every call"
}

// dryRun has the system say what an experiment would hit.
func (s *screens) dryRun(r *frame.Request, p plannedFault) (*observev1.Experiment, error) {
	req, err := p.request()
	if err != nil {
		return nil, err
	}
	req.DryRun, req.Author = true, r.Caller.Name
	resp, err := s.experiments.Start(r.Context(), req)
	return resp.GetExperiment(), err
}

// callsTo is how often the methods are called now, by anybody.
func (s *screens) callsTo(ctx context.Context, hit *observev1.BlastRadius) (float64, error) {
	resp, err := s.metrics.Query(ctx, &observev1.QueryRequest{Query: rateOf("rpc_method", "")})
	if err != nil {
		return 0, err
	}
	var out float64
	for _, sample := range resp.GetSamples() {
		if slices.Contains(hit.GetMethods(), strings.TrimPrefix(sample.GetLabels()["rpc_method"], "/")) {
			out += sample.GetValue()
		}
	}
	return out, nil
}
