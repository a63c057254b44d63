package console

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type settle func(ctx context.Context, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error)

// letterActions are what operators do with dead letters.
func (s *screens) letterActions() []frame.Action {
	return []frame.Action{
		s.settleAction("replay", "Replay", "They are handled again by the group that gave them up.", false,
			func(ctx context.Context, f *eventsv1.Filter, by *eventsv1.By, dry bool) (int32, error) {
				resp, err := s.letters.Replay(ctx, &eventsv1.ReplayRequest{Filter: f, By: by, DryRun: dry})
				return resp.GetCount(), err
			}),
		s.settleAction("drop", "Drop", "They are settled for good: nothing more happens to them.", true,
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
		Title: "Edit the event", Submit: "Replace", Back: letterHref(service, id),
		Says:   []string{`What reads "[secret]" stays as it is. It is not replayed yet.`},
		Fields: []frame.Field{{Name: "event", Label: "Event, in JSON", Kind: "area", Value: frame.Indented(l.GetJson())}},
	}, nil
}

// chosen are the letters that an action is about.
func chosen(r *frame.Request) *eventsv1.Filter {
	return &eventsv1.Filter{Letter: r.Get("letter"), Topic: r.Get("topic"), State: "dead"}
}

// mostSettled is of how many letters of one cause is disposed at once.
const mostSettled = 500

// ofCause are the letters that died for the reason of which an action says why,
// the first to die first, as they are to be handled again.
func (s *screens) ofCause(r *frame.Request) ([]*eventsv1.Letter, error) {
	found, err := s.letters.List(toService(r.Context(), r.Get("of")), &eventsv1.ListRequest{Filter: chosen(r), PageSize: mostSettled})
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(found.GetLetters(), func(l *eventsv1.Letter) bool { return fingerprint(l.GetReason()) != r.Get("why") })
	slices.Reverse(all)
	return all, nil
}

// settleAction asks by a dry run how many letters it is about.
func (s *screens) settleAction(name, verb, says string, danger bool, call settle) frame.Action {
	return frame.Action{
		Name: name, Path: "/letters/" + name, Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			service := r.Get("of")
			n, some, err := s.count(r, call)
			what := plural(n, "letter") + " of " + service
			f := frame.Form{
				Title: verb + " " + what, Submit: verb, Says: append([]string{says}, some...), Danger: danger, Back: "/letters",
			}
			if r.Get("topic") != "" {
				f.Says = append(f.Says, "They are all of the type "+r.Get("topic")+". It is counted again when it is done.")
			}
			if danger && n > 1 {
				f.Type = strconv.Itoa(n)
			}
			return f, err
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			by := &eventsv1.By{Author: r.Caller.Name, Reason: r.Reason()}
			if r.Get("why") != "" {
				return s.settleCause(r, verb, by, call)
			}
			n, err := call(toService(r.Context(), r.Get("of")), chosen(r), by, false)
			return frame.Outcome{Title: verb + ": " + plural(int(n), "letter"), Back: "/letters"}, err
		},
	}
}

// count tells how many letters an action is about, and names some of those of
// one cause.
func (s *screens) count(r *frame.Request, call settle) (n int, some []string, err error) {
	if r.Get("why") == "" {
		count, err := call(toService(r.Context(), r.Get("of")), chosen(r), &eventsv1.By{Author: r.Caller.Name, Reason: "dry run"}, true)
		return int(count), nil, err
	}
	all, err := s.ofCause(r)
	if err != nil {
		return 0, nil, err
	}
	const few = 3
	some = append(some, "They have in common: "+r.Get("why"))
	for _, l := range all[:min(few, len(all))] {
		some = append(some, strings.TrimSpace(l.GetLetter()+" "+l.GetKey())+": "+brief(l.GetReason()))
	}
	if len(all) > few {
		some = append(some, fmt.Sprintf("and %d more.", len(all)-few))
	}
	return len(all), some, nil
}

// settleCause settles the letters of one cause one by one: what they have in
// common is no text that a filter could look for.
func (s *screens) settleCause(r *frame.Request, verb string, by *eventsv1.By, call settle) (frame.Outcome, error) {
	all, err := s.ofCause(r)
	if err != nil {
		return frame.Outcome{}, err
	}
	out := frame.Outcome{Back: "/letters"}
	done, failed := 0, error(nil)
	for _, l := range all {
		n, err := call(toService(r.Context(), r.Get("of")), &eventsv1.Filter{Letter: l.GetLetter(), State: "dead"}, by, false)
		switch {
		case err != nil:
			failed = err
			out.Lines = append(out.Lines, l.GetLetter()+": "+frame.Say(err))
		case n == 0:
			out.Lines = append(out.Lines, l.GetLetter()+": somebody was faster")
		}
		done += int(n)
	}
	out.Title = verb + ": " + plural(done, "letter")
	if len(out.Lines) > 0 {
		out.Title += fmt.Sprintf(" of %d", len(all))
	}
	if done == 0 && failed != nil {
		return out, failed
	}
	return out, nil
}
