package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// line is one line of a log.
type line struct {
	ID, Who, Level, Said string
	Time                 time.Time
	More                 []fact
	Trace, Span          string
}

// supervisor is the name under which the supervisor itself logs.
const supervisor = "warren"

// lastLines are the newest lines of a service or an instance, oldest first.
func (s *screens) lastLines(ctx context.Context, who string, n int) ([]line, error) {
	stream, err := s.fleet.Logs(ctx, &fleetv1.LogsRequest{Services: named(who), Tail: int32(n)})
	var out []line
	for err == nil {
		var one *fleetv1.LogsResponse
		if one, err = stream.Recv(); err == nil {
			out = append(out, parseLine(one))
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return out[max(0, len(out)-n):], nil
}

func named(who string) []string {
	if who == "" {
		return nil
	}
	return []string{who}
}

// parseLine reads a line as Warren's processes write it; any other stays text.
func parseLine(one *fleetv1.LogsResponse) line {
	l := line{Who: one.GetInstance(), Said: one.GetLine(), Time: one.GetTime().AsTime()}
	var fields map[string]any
	if json.Unmarshal([]byte(one.GetLine()), &fields) != nil {
		return l
	}
	take := func(names ...string) string {
		for _, name := range names {
			if text, ok := fields[name].(string); ok {
				delete(fields, name)
				return text
			}
		}
		return ""
	}
	l.Said, l.Level, l.Trace, l.Span = take("msg", "message"), strings.ToLower(take("level")), take("trace_id"), take("span_id")
	for _, known := range []string{"time", "service", "instance", "version"} {
		delete(fields, known)
	}
	for name, value := range fields {
		text, ok := value.(string)
		if !ok {
			text = fmt.Sprint(value)
		}
		l.More = append(l.More, fact{name, text})
	}
	slices.SortFunc(l.More, func(a, b fact) int { return cmp.Compare(a.Name, b.Name) })
	return l
}

func (l line) get(name string) string {
	for _, f := range l.More {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// happened is something that happened to the system.
type happened struct {
	Time time.Time
	Tone frame.Tone
	What string
	By   string
	// Href leads to more.
	Href string
	// Everywhere is what may explain a chart of any service.
	Everywhere bool
	// Told is what another history tells better.
	Told bool
	// Ended is trouble that is over.
	Ended bool
}

// events are what the supervisor did and saw, and what people did, newest first.
func (s *screens) events(ctx context.Context) ([]happened, error) {
	const enough = 400
	lines, err := s.lastLines(ctx, supervisor, enough)
	if err != nil {
		return nil, err
	}
	var out []happened
	for _, l := range slices.Backward(lines) {
		kind := l.get("kind")
		h := happened{Time: l.Time, What: l.Said}
		switch kind {
		case "", "building":
			continue
		case "audit":
			h.What, h.By, h.Tone = l.get("action")+" "+l.get("target"), strings.TrimSuffix(l.get("author")+": "+l.get("reason"), ": "), frame.Busy
			if l.get("error") != "" {
				h.Tone, h.By = frame.Warn, h.By+" ("+l.get("error")+")"
			}
			h.Href, h.Told = "/audit", told(l)
		default:
			h.Tone = toneOf(kind)
		}
		out = append(out, h)
	}
	return out, nil
}

// told is what somebody did that a history of its own has, and what only looked.
func told(l line) bool {
	looked := []string{"read", "sign in", "sign out"}
	elsewhere := []string{"set", "unset", "rollback", "start experiment", "stop experiment"}
	return slices.Contains(looked, l.get("action")) || l.get("error") == "" && slices.Contains(elsewhere, l.get("action"))
}

// toneOf is how an event of the fleet is meant.
func toneOf(kind string) frame.Tone {
	switch kind {
	case "ready", "built":
		return frame.Good
	case "restart", "crash loop": // a process ended by itself
		return frame.Bad
	}
	return frame.Idle
}
