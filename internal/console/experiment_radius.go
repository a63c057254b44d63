package console

import (
	"context"
	"slices"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

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
	resp, err := s.metrics.Query(ctx, &observev1.QueryRequest{Query: rateOf("rpc_method", aCall)})
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
