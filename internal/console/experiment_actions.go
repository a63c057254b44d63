package console

import (
	"fmt"
	"strings"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// experimentActions put faults into the system, and take them back.
func (s *screens) experimentActions() []frame.Action {
	return []frame.Action{
		{Name: "start experiment", Path: "/experiments/start", Needs: frame.Operator, Ask: s.askExperiment, Do: s.startExperiment},
		{
			Name: "stop experiment", Path: "/experiments/{name}/stop", Needs: frame.Operator,
			Ask: func(r *frame.Request) (frame.Form, error) {
				name := r.PathValue("name")
				return frame.Form{
					Title: "Stop " + name, Submit: "Stop", Back: "/experiments",
					Says: []string{"Its fault is taken back now. Calls that are held back already go on when their time is over."},
				}, nil
			},
			Do: func(r *frame.Request) (frame.Outcome, error) {
				name := r.PathValue("name")
				_, err := s.experiments.Stop(r.Context(), &observev1.ExperimentServiceStopRequest{
					Name: name, Author: r.Caller.Name, Reason: r.Reason(),
				})
				return frame.Outcome{Title: name + " is over", Back: "/experiments"}, err
			},
		},
	}
}

// askExperiment shows once more what would be hit, as it is now.
func (s *screens) askExperiment(r *frame.Request) (frame.Form, error) {
	p := planOf(r)
	if !p.complete() {
		return frame.Form{}, &frame.Problem{Status: 422, Title: "Where?", Text: "Say first at which service the fault is to be."}
	}
	e, err := s.dryRun(r, p)
	if err != nil {
		return frame.Form{}, err
	}
	where, method := whereText(e.GetFault())
	if method != "" {
		where += ", " + method
	}
	lasts := e.GetEnds().AsTime().Sub(e.GetStarted().AsTime())
	f := frame.Form{
		Title: "Start " + e.GetName(), Submit: "Start", Danger: true,
		Back: "/experiments?" + p.query(),
		Says: []string{fmt.Sprintf("%s: %s, for %s. It ends by itself, and can be stopped before.", where, faultText(e.GetFault()), frame.Span(lasts))},
	}
	hit := e.GetRadius()
	for _, one := range []struct {
		what  string
		names []string
	}{{"Instances", hit.GetInstances()}, {"Callers", hit.GetCallers()}, {"Methods", shortMethods(hit.GetMethods())}} {
		const enough = 6
		text := strings.Join(one.names[:min(enough, len(one.names))], ", ")
		if more := len(one.names) - enough; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		if text != "" {
			f.Says = append(f.Says, one.what+": "+text+".")
		}
	}
	for _, warning := range hit.GetWarnings() {
		f.Says = append(f.Says, "Note: "+warning+".")
	}
	return f, nil
}

func (s *screens) startExperiment(r *frame.Request) (frame.Outcome, error) {
	req, err := planOf(r).request()
	if err != nil {
		return frame.Outcome{}, err
	}
	req.Author, req.Reason = r.Caller.Name, r.Reason()
	resp, err := s.experiments.Start(r.Context(), req)
	e := resp.GetExperiment()
	return frame.Outcome{
		Title: e.GetName() + " runs", Back: "/experiments",
		Lines: []string{"Until " + e.GetEnds().AsTime().Local().Format(time.TimeOnly) + ", unless somebody stops it before."},
	}, err
}
