package console

import (
	"context"
	"strconv"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type settle func(ctx context.Context, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error)

// letterActions are what operators do with dead letters.
func (s *screens) letterActions() []frame.Action {
	return []frame.Action{
		settleAction("replay", "Replay", "They are handled again by the group that gave them up.", false,
			func(ctx context.Context, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error) {
				resp, err := s.letters.Replay(ctx, &eventsv1.ReplayRequest{Filter: f, By: by, DryRun: dry})
				return resp.GetCount(), err
			}),
		settleAction("drop", "Drop", "They are settled for good: nothing more happens to them.", true,
			func(ctx context.Context, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error) {
				resp, err := s.letters.Drop(ctx, &eventsv1.DropRequest{Filter: f, By: by, DryRun: dry})
				return resp.GetCount(), err
			}),
		{
			Name: "edit", Path: "/letters/{service}/{letter}/edit", Needs: frame.Operator, Ask: s.askLetter,
			Do: func(r *frame.Request) (frame.Outcome, error) {
				service, id := r.PathValue("service"), r.PathValue("letter")
				_, err := s.letters.Edit(toService(r.Context(), service), &eventsv1.EditRequest{
					Letter: id, Json: r.PostForm.Get("event"), By: &eventsv1.By{Author: r.Caller.Name, Reason: r.Reason()},
				})
				return frame.Outcome{
					Title: "The event is replaced", Lines: []string{"Replay the letter to have it handled."}, Back: letterHref(service, id),
				}, err
			},
		},
	}
}

func (s *screens) askLetter(r *frame.Request) (frame.Form, error) {
	service, id := r.PathValue("service"), r.PathValue("letter")
	l, err := s.letters.Show(toService(r.Context(), service), &eventsv1.ShowRequest{Letter: id})
	if err != nil {
		return frame.Form{}, err
	}
	return frame.Form{
		Title: "Edit the event", Submit: "Replace", Target: service + " " + id, Back: letterHref(service, id),
		Says:   []string{`What reads "[secret]" stays as it is. It is not replayed yet.`},
		Fields: []frame.Field{{Name: "event", Label: "Event, in JSON", Kind: "area", Value: frame.Indented(l.GetJson())}},
	}, nil
}

// chosen are the letters that an action is about.
func chosen(r *frame.Request) *eventsv1.Filter {
	return &eventsv1.Filter{Letter: r.Get("letter"), Topic: r.Get("topic"), State: "dead"}
}

// settleAction asks by a dry run how many letters it is about.
func settleAction(name, verb, says string, danger bool, call settle) frame.Action {
	return frame.Action{
		Name: name, Path: "/letters/" + name, Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			service := r.Get("of")
			n, err := call(toService(r.Context(), service), chosen(r), &eventsv1.By{Author: r.Caller.Name, Reason: "dry run"}, true)
			what := plural(int(n), "letter") + " of " + service
			f := frame.Form{
				Title: verb + " " + what, Submit: verb, Target: what + " " + r.Get("letter") + r.Get("topic"), Says: []string{says}, Danger: danger,
				Back: "/letters",
			}
			if r.Get("topic") != "" {
				f.Says = append(f.Says, "They are all of the type "+r.Get("topic")+". It is counted again when it is done.")
			}
			if danger && n > 1 {
				f.Type = strconv.Itoa(int(n))
			}
			return f, err
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			n, err := call(toService(r.Context(), r.Get("of")), chosen(r), &eventsv1.By{Author: r.Caller.Name, Reason: r.Reason()}, false)
			return frame.Outcome{Title: verb + ": " + plural(int(n), "letter"), Back: "/letters"}, err
		},
	}
}
