package console

import (
	"context"
	"net/url"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// notices tell on every page of the experiments that run: whoever wonders about
// a graph should not have to ask for them.
func (s *screens) notices(ctx context.Context) ([]frame.Notice, error) {
	list, err := s.experiments.List(ctx, &observev1.ExperimentServiceListRequest{})
	if status.Code(err) == codes.Unimplemented {
		return nil, nil // a system without experiments
	}
	var out []frame.Notice
	for _, e := range list.GetExperiments() {
		if e.GetState() != observev1.Experiment_STATE_RUNNING {
			continue
		}
		where, method := whereText(e.GetFault())
		if method != "" {
			where += ", " + shortMethod(method)
		}
		out = append(out, frame.Notice{
			ID: e.GetName(), Title: "Experiment " + e.GetName(), Text: "at " + where + ": " + faultText(e.GetFault()), By: e.GetAuthor(),
			Until: e.GetEnds().AsTime(), More: frame.Link{Text: "Experiments", Href: "/experiments"},
			End: frame.Link{Text: "Stop", Href: "/experiments/" + url.PathEscape(e.GetName()) + "/stop", Asks: true, Danger: true}, Needs: frame.Operator,
		})
	}
	return out, err
}
