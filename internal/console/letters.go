package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// toService has a call answered by the service of the name: each that has
// events has dead letters of its own.
func toService(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "warren-to", name)
}

// who serves a contract.
func (s *screens) who(ctx context.Context, contract string) ([]string, error) {
	list, err := s.contracts.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	for _, c := range list.GetContracts() {
		if c.GetName() == contract {
			return c.GetServices(), nil
		}
	}
	return nil, nil
}

// ownLetter is a letter with the service whose it is.
type ownLetter struct {
	*eventsv1.Letter
	Service string
}

// mostLetters are shown of a service, the last to die.
const mostLetters = 500

// cut are the services that have more letters than are shown.
func cut(all []ownLetter) []string {
	counts := map[string]int{}
	var out []string
	for _, l := range all {
		if counts[l.Service]++; counts[l.Service] == mostLetters {
			out = append(out, l.Service)
		}
	}
	return out
}

// allLetters asks every service. Those that don't answer are told by name.
func (s *screens) allLetters(ctx context.Context, state string) (letters []ownLetter, silent map[string]error, err error) {
	services, err := s.who(ctx, eventsv1.LetterService_ServiceDesc.ServiceName)
	if err != nil {
		return nil, nil, err
	}
	silent = map[string]error{}
	for _, name := range services {
		found, err := s.letters.List(toService(ctx, name), &eventsv1.ListRequest{Filter: &eventsv1.Filter{State: state}, PageSize: mostLetters})
		if err != nil {
			silent[name] = err
			continue
		}
		for _, l := range found.GetLetters() {
			letters = append(letters, ownLetter{l, name})
		}
	}
	return letters, silent, nil
}

type lettersView struct {
	Groups, Table *frame.Table
	Tabs          []tab
	Cut           []string
	Grouped       bool
}

// Export is the list of letters.
func (v lettersView) Export() *frame.Table { return v.Table }

func (s *screens) letterList(r *frame.Request) (any, error) {
	state := cmp.Or(r.Get("state"), "dead")
	all, silent, err := s.allLetters(r.Context(), state)
	if err != nil {
		return nil, err
	}
	for name, err := range silent {
		r.Missing("Letters of "+name, err)
	}
	v := lettersView{Grouped: !r.Filtered("why", "topic", "of")}
	for _, one := range []string{"dead", "replayed", "dropped"} {
		v.Tabs = append(v.Tabs, tab{strings.ToUpper(one[:1]) + one[1:], r.With("state", one), one == state})
	}
	for _, name := range cut(all) {
		v.Cut = append(v.Cut, fmt.Sprintf("Of %s, only the last %d are shown and counted here.", name, mostLetters))
	}
	if v.Grouped {
		v.Groups = r.Sorted(letterGroups(r, all), "-count")
	}
	all = slices.DeleteFunc(all, func(l ownLetter) bool {
		return r.Get("why") != "" && fingerprint(l.GetReason()) != r.Get("why") || r.Get("topic") != "" && l.GetTopic() != r.Get("topic") ||
			r.Get("of") != "" && l.Service != r.Get("of")
	})
	v.Table = r.Sorted(letterTable(all), "-died")
	if !v.Grouped {
		v.Table.Empty = frame.Empty{Title: "None is like that", Text: "Perhaps they were replayed meanwhile.", Clear: "/letters"}
	}
	return v, nil
}

var (
	digits = regexp.MustCompile(`[0-9a-fA-F]{8,}|\d+`)
	quoted = regexp.MustCompile(`"[^"]*"`)
)

// fingerprint is what errors of the same cause have in common.
func fingerprint(reason string) string {
	return brief(quoted.ReplaceAllString(digits.ReplaceAllString(reason, "#"), `"…"`))
}

func letterGroups(r *frame.Request, all []ownLetter) frame.Table {
	t := frame.Table{
		Caption: "By cause",
		Columns: []frame.Column{
			{Key: "why", Title: "Why"},
			{Key: "topic", Title: "Event"},
			{Key: "of", Title: "Given up by"},
			{Key: "count", Title: "Letters", Number: true},
			{Title: "", Fixed: true, Wide: true},
		},
	}
	type key struct{ why, topic, service string }
	counts := map[key]int64{}
	var order []key
	for _, l := range all {
		k := key{fingerprint(l.GetReason()), l.GetTopic(), l.Service}
		if counts[k] == 0 {
			order = append(order, k)
		}
		counts[k]++
	}
	for i, k := range order {
		q := url.Values{"why": {k.why}, "topic": {k.topic}, "of": {k.service}, "state": {r.Get("state")}}.Encode()
		because := url.Values{"of": {k.service}, "topic": {k.topic}, "why": {k.why}}.Encode()
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("group-%d", i), Href: "/letters?" + q, Cells: []frame.Cell{
			frame.Text(k.why), frame.Mono(shortName(k.topic)), frame.Text(k.service), frame.Number(counts[k]),
			{Actions: []frame.Link{
				{Text: "Replay", Href: "/letters/replay?" + because, Asks: true},
				{Text: "Drop", Href: "/letters/drop?" + because, Asks: true, Danger: true},
			}},
		}})
	}
	return t
}

// shortName is the end of a full name.
func shortName(full string) string { return full[strings.LastIndex(full, ".")+1:] }

func letterTable(all []ownLetter) frame.Table {
	t := frame.Table{
		Caption: "Letters",
		Columns: []frame.Column{
			{Key: "event", Title: "Event"}, {Key: "key", Title: "Key", Wide: true}, {Key: "of", Title: "Given up by"},
			{Key: "attempts", Title: "Attempts", Number: true, Wide: true},
			{Key: "why", Title: "Why"}, {Key: "died", Title: "Died", Number: true},
		},
		Empty: frame.Empty{
			Title: "No dead letters",
			Text:  "An event that a subscriber gives up after its last attempt lies here with its error, until somebody replays, edits or drops it.",
			Code:  "warren dlq list",
		},
		Note: strconv.Itoa(len(all)),
	}
	for _, l := range all {
		t.Rows = append(t.Rows, frame.Row{ID: "letter-" + l.GetLetter(), Href: letterHref(l.Service, l.GetLetter()), Cells: []frame.Cell{
			{Text: shortName(l.GetTopic()), Title: l.GetTopic()}, frame.Mono(l.GetKey()), {Text: l.Service, Sub: l.GetGroup()},
			frame.Number(int64(l.GetAttempts())),
			{Text: brief(l.GetReason()), Title: l.GetReason()}, frame.At(l.GetDeathTime().AsTime()),
		}})
	}
	return t
}

func letterHref(service, letter string) string {
	return "/letters/" + url.PathEscape(service) + "/" + url.PathEscape(letter)
}

type letterView struct {
	Letter  ownLetter
	State   frame.Status
	Facts   []fact
	Headers []fact
	Actions []frame.Link
	Done    *frame.Table
	Trace   string
}

func (s *screens) letter(r *frame.Request) (any, error) {
	service := r.PathValue("service")
	l, err := s.letters.Show(toService(r.Context(), service), &eventsv1.ShowRequest{Letter: r.PathValue("letter")})
	if err != nil {
		return nil, err
	}
	tones := map[string]frame.Tone{"dead": frame.Bad, "replayed": frame.Good, "dropped": frame.Idle}
	v := letterView{Letter: ownLetter{l, service}, State: frame.Status{Word: l.GetState(), Tone: cmp.Or(tones[l.GetState()], frame.Idle)}}
	v.Facts = []fact{
		{"Event", l.GetTopic()}, {"Its id", l.GetEvent()}, {"Key", cmp.Or(l.GetKey(), "–")}, {"Given up by", cmp.Or(l.GetGroup(), "the broker")},
		{"Handler", cmp.Or(l.GetHandler(), "–")},
		{"Attempts", strconv.Itoa(int(l.GetAttempts()))}, {"Published", frame.Ago(l.GetPublishTime().AsTime(), r.Now)},
		{"Died", frame.Ago(l.GetDeathTime().AsTime(), r.Now)},
	}
	for name, value := range l.GetHeaders() {
		v.Headers = append(v.Headers, fact{name, value})
		if parts := strings.Split(value, "-"); strings.EqualFold(name, "traceparent") && len(parts) == 4 {
			v.Trace = "/traces/" + parts[1]
		}
	}
	slices.SortFunc(v.Headers, func(a, b fact) int { return strings.Compare(a.Name, b.Name) })
	if l.GetState() == "dead" {
		href := letterHref(service, l.GetLetter())
		q := "?of=" + queryEscape(service) + "&letter=" + queryEscape(l.GetLetter())
		v.Actions = []frame.Link{
			{Text: "Replay", Href: "/letters/replay" + q, Asks: true}, {Text: "Edit", Href: href + "/edit", Asks: true},
			{Text: "Drop", Href: "/letters/drop" + q, Asks: true, Danger: true},
		}
	}
	v.Done = letterActionTable(l.GetActions())
	return v, nil
}

func letterActionTable(actions []*eventsv1.Action) *frame.Table {
	t := &frame.Table{
		Caption: "What people did",
		Columns: []frame.Column{{Title: "When", Fixed: true}, {Title: "What", Fixed: true}, {Title: "Who", Fixed: true}, {Title: "Why", Fixed: true}},
	}
	for i, a := range actions {
		t.Rows = append(t.Rows, frame.Row{ID: fmt.Sprintf("action-%d", i), Cells: []frame.Cell{
			frame.At(a.GetTime().AsTime()), frame.Text(a.GetName()), frame.Text(a.GetAuthor()), frame.Text(a.GetReason()),
		}})
	}
	return t
}
