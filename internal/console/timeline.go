package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// timeline is all that happened to the system in a span of time, newest first:
// what the supervisor did and healed, what people did, changes of settings,
// releases, alerts, experiments, and instances that callers left out. A witness
// that is away is in missing.
func (s *screens) timeline(ctx context.Context, from, to time.Time) (all []happened, missing map[string]error) {
	return s.timelineBy(ctx, s.witnesses(), from, to)
}

func (s *screens) timelineBy(ctx context.Context, witnesses []witness, from, to time.Time) (all []happened, missing map[string]error) {
	missing = map[string]error{}
	for _, one := range witnesses {
		found, err := s.heard(ctx, one, from)
		if err != nil {
			missing[one.name] = err
		}
		all = append(all, found...)
	}
	all = between(all, from, to)
	slices.SortStableFunc(all, func(a, b happened) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(a.What, b.What)) })
	return all, missing
}

// witness tells of one kind of what happened, since a moment; what it says serves
// all who ask within fresh.
type witness struct {
	name  string
	fresh time.Duration
	ask   func(ctx context.Context, from time.Time) ([]happened, error)
}

const ofExperiments = "Experiments"

func (s *screens) witnesses() []witness {
	return []witness{
		{"What the supervisor did", moment, s.fleetEvents},
		{"What alerts did", moment, s.alertEvents},
		{"Changes of settings", 2 * moment, s.settingEvents},
		{ofExperiments, 2 * moment, s.experimentEvents},
		{"Instances left out", while, s.ejections}, // a search through the logs
	}
}

// heard asks a witness for the last day, as all pages do, or for what is longer ago
// from a whole hour on: by that, most pages want the same.
func (s *screens) heard(ctx context.Context, of witness, from time.Time) ([]happened, error) {
	const day = 24 * time.Hour
	name := of.name
	if begin := time.Now().Add(-day - time.Minute); from.After(begin) {
		from = begin
	} else {
		from = from.Truncate(time.Hour)
		name += " " + from.UTC().Format(time.RFC3339)
	}
	return once(ctx, s.answers, of.fresh, name, func(ctx context.Context) ([]happened, error) { return of.ask(ctx, from) })
}

// between are those that happened in a span of time.
func between(all []happened, from, to time.Time) []happened {
	return slices.DeleteFunc(slices.Clone(all), func(h happened) bool { return h.Time.Before(from) || h.Time.After(to) })
}

// fleetEvents are those of the supervisor's log. What is told better by the
// history of settings or of experiments is left to these.
func (s *screens) fleetEvents(ctx context.Context, _ time.Time) ([]happened, error) {
	all, err := s.events(ctx)
	return slices.DeleteFunc(all, func(h happened) bool { return h.Told }), err
}

// mostChanges is of how many changes a page tells.
const mostChanges = 200

func (s *screens) settingEvents(ctx context.Context, _ time.Time) ([]happened, error) {
	history, err := s.settings.History(ctx, &settingsv1.HistoryRequest{Limit: mostChanges})
	var out []happened
	for _, c := range history.GetChanges() {
		var what []string
		for _, e := range c.GetEdits() {
			if strings.HasPrefix(e.GetName(), "rpc.fault.") {
				continue // an experiment, which is listed as one
			}
			on := ""
			if e.GetScope() != "all" {
				on = " on " + strings.TrimPrefix(e.GetScope(), "/")
			}
			what = append(what, fmt.Sprintf("%s%s: %s → %s", e.GetName(), on, orUnset(e.Old), orUnset(e.New))) //nolint:protogetter // unset is not empty
		}
		if what == nil {
			continue
		}
		out = append(out, happened{
			Time: c.GetTime().AsTime(), Tone: frame.Busy, What: strings.Join(what, ", "), By: c.GetAuthor() + ": " + c.GetReason(), Everywhere: true,
			Href: "/settings-history",
		})
	}
	return out, err
}

func (s *screens) alertEvents(ctx context.Context, from time.Time) ([]happened, error) {
	history, err := s.alerts.History(ctx, &observev1.HistoryRequest{Since: timestamppb.New(from), Limit: mostChanges})
	var out []happened
	for _, c := range history.GetChanges() {
		what := c.GetName() + labelsOf(c.GetLabels())
		h := happened{Time: c.GetTime().AsTime(), Tone: frame.Bad, What: what + " fires", By: c.GetAnnotations()["summary"], Href: "/alerts"}
		if c.GetResolved() {
			h.Tone, h.What, h.By, h.Ended = frame.Good, what+" fires no more", "", true
		}
		h.Everywhere = c.GetLabels()["service"] == ""
		out = append(out, h)
	}
	return out, err
}

func (s *screens) experimentEvents(ctx context.Context, _ time.Time) ([]happened, error) {
	found, err := s.experiments.List(ctx, &observev1.ExperimentServiceListRequest{Ended: true})
	return experimentsHappened(found.GetExperiments()), err
}

func experimentsHappened(all []*observev1.Experiment) []happened {
	var out []happened
	for _, e := range all {
		what := "experiment " + e.GetName() + " on " + strings.Join(e.GetRadius().GetServices(), ", ")
		add := func(at *timestamppb.Timestamp, tone frame.Tone, ended, by string) {
			out = append(out, happened{Time: at.AsTime(), Tone: tone, What: what + ended, By: by, Href: "/experiments"})
		}
		add(e.GetStarted(), frame.Warn, " begins", e.GetAuthor()+": "+e.GetReason())
		switch e.GetState() {
		case observev1.Experiment_STATE_STOPPED:
			add(e.GetStopped(), frame.Good, " is stopped", strings.Trim(e.GetStoppedBy()+": "+e.GetStopReason(), ": "))
		case observev1.Experiment_STATE_ENDED:
			add(e.GetEnds(), frame.Good, " is over", "")
		}
	}
	return out
}

// ejections are instances that callers left out for a while, as these wrote.
func (s *screens) ejections(ctx context.Context, from time.Time) ([]happened, error) {
	const most = 50
	found, err := s.logs.Search(ctx, &observev1.SearchLogsRequest{
		Filter: &observev1.LogFilter{Query: `"instance ejected"`, MinLevel: observev1.LogLevel_LOG_LEVEL_WARN}, From: timestamppb.New(from), PageSize: most,
	})
	var out []happened
	for _, l := range linesOf(found.GetLines()) {
		if l.Said != "instance ejected" || l.get("ejected") == "" {
			continue
		}
		out = append(out, happened{
			Time: l.Time, Tone: frame.Warn, What: fmt.Sprintf("%s is left out by %s for %s", l.get("ejected"), l.Who, l.get("for")), By: "its calls failed",
			Href: "/logs?around=" + url.QueryEscape(l.ID),
		})
	}
	return out, err
}

// marks are what may explain a chart of the service, or of all.
func (s *screens) marks(r *frame.Request, service string) []frame.Mark {
	all, _ := s.timeline(r.Context(), r.Range.From, r.Range.To) // the charts are worth showing without
	return marksOf(all, service)
}

func marksOf(all []happened, service string) []frame.Mark {
	var out []frame.Mark
	for _, h := range all {
		if service == "" || h.Everywhere || strings.Contains(h.What, service) {
			out = append(out, frame.Mark{Time: h.Time, Text: h.What})
		}
	}
	const most = 100
	return out[:min(most, len(out))]
}
