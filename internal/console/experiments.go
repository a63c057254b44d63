package console

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

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

func (s *screens) experimentList(r *frame.Request) (any, error) {
	list, err := s.experiments.List(r.Context(), &observev1.ExperimentServiceListRequest{Ended: true})
	if err != nil {
		return nil, err
	}
	v := experimentsView{Plan: planOf(r), Codes: faultCodes()}
	chart, _, err := s.chart(r, plan{
		"hit", "Calls that were hit", "/s", "sum by (kind, rpc_method) (rate(warren_rpc_faults_total[" + window + "]))",
		func(l map[string]string) string {
			return l["kind"] + " " + shortMethod(strings.TrimPrefix(l["rpc_method"], "/"))
		},
	})
	r.Missing("How many calls were hit", err)
	if len(chart.Lines) > 0 {
		others := slices.DeleteFunc(s.witnesses(), func(w witness) bool { return w.name == ofExperiments }) // which are here
		marks, _ := s.timelineBy(r.Context(), others, r.Range.From, r.Range.To)
		own := between(experimentsHappened(list.GetExperiments()), r.Range.From, r.Range.To)
		chart.Marks, v.Hit = marksOf(append(own, marks...), ""), &chart
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
	v.tables(r, list.GetExperiments())
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

// Mark is what stands at the field that the problem is about, by whose name the
// problem begins.
func (v experimentsView) Mark(name string) template.HTMLAttr {
	field, _, _ := strings.Cut(v.Problem, ":")
	if v.Plan.Kind == "partition" {
		field = cmp.Or(map[string]string{"from": "caller", "to": "service"}[field], field)
	}
	if field != name {
		return ""
	}
	return ` aria-invalid="true" aria-describedby="plan-problem"`
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
		Code: plannedFault{Kind: "latency", Service: somebody(v.Services), Delay: "2s", Share: "50", For: "2m"}.command(),
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
				{Text: e.GetName(), Sub: where + ": " + faultText(e.GetFault())}, {Text: where, Sub: shortMethod(method), Title: method},
				experimentState(e, r.Now), frame.At(e.GetStarted().AsTime()),
				{Text: cmp.Or(e.GetAuthor(), "–"), Sub: brief(e.GetReason()), Title: e.GetReason()},
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
		{Title: "Who"}, {Title: "Why"}, {Title: "Stopped by"}, {Title: "Why stopped"}, {Title: "Kills"},
	}}
	for _, e := range all {
		where, method := whereText(e.GetFault())
		t.Rows = append(t.Rows, frame.Row{Cells: []frame.Cell{
			frame.Text(e.GetName()), experimentState(e, r.Now), frame.Text(faultText(e.GetFault())), frame.Text(where), frame.Text(method),
			frame.At(e.GetStarted().AsTime()), frame.At(e.GetEnds().AsTime()), frame.Text(e.GetAuthor()), frame.Text(e.GetReason()),
			frame.Text(e.GetStoppedBy()), frame.Text(e.GetStopReason()), frame.Text(strconv.Itoa(int(e.GetKills()))),
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
		if e.GetStopReason() != "" {
			c.Sub, c.Title = c.Sub+": "+brief(e.GetStopReason()), e.GetStopReason()
		}
		return c
	}
	c := frame.Stated("ended", frame.Good)
	c.Sub = "after " + frame.Span(e.GetEnds().AsTime().Sub(e.GetStarted().AsTime()).Round(time.Second))
	return c
}
