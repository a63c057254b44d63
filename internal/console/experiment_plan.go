package console

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console/frame"
	"github.com/gowarren/warren/internal/spelled"
)

// plannedFault is an experiment as the fields of the URL say it. What they leave
// open is as it is for the command.
type plannedFault struct {
	Kind, Service, Caller, Method, Delay, Jitter, Share, Code, Every, For, Name string
}

// faultKinds are what can go wrong, with what is said of it where one is planned.
func faultKinds() []struct{ kind, title, says string } {
	return []struct{ kind, title, says string }{
		{
			"latency", "Latency",
			"Calls wait before the handler sees them. They hold their place meanwhile, so that a slow service fills up as a real one does.",
		},
		{"error", "Errors", "Calls are answered with an error instead of by the handler."},
		{"kill", "Kill", "An instance that is ready is killed, by chance, again and again. The supervisor starts it anew."},
		{"partition", "Partition", "The calls of one service to another are lost: its callers hear UNAVAILABLE, and nothing is sent."},
	}
}

func planOf(r *frame.Request) plannedFault {
	return plannedFault{
		Kind: cmp.Or(r.Get("fault"), "latency"), Service: r.Get("service"), Caller: r.Get("caller"), Method: r.Get("method"),
		Delay: cmp.Or(r.Get("delay"), "1s"), Jitter: r.Get("jitter"), Share: cmp.Or(r.Get("share"), "100"),
		Code: cmp.Or(r.Get("code"), "UNAVAILABLE"), Every: cmp.Or(r.Get("every"), "30s"), For: r.Get("for"), Name: r.Get("name"),
	}
}

// complete tells whether it is said where the fault is to be.
func (p plannedFault) complete() bool {
	return p.Service != "" && (p.Kind != "partition" || p.Caller != "")
}

// query is the plan as the URL has it, with the fields of its kind only.
func (p plannedFault) query() string {
	q := url.Values{"fault": {p.Kind}}
	for _, f := range p.fields() {
		if f.value != "" && f.value != f.usual {
			q.Set(f.name, f.value)
		}
	}
	return q.Encode()
}

// planField is one field of a plan: its flag of the command, its key in a file.
type planField struct{ name, value, usual string }

// fields are those that the plan's kind has.
func (p plannedFault) fields() []planField {
	out, share := []planField{{"service", p.Service, ""}}, planField{"share", p.Share, "100"}
	switch p.Kind {
	case "latency":
		out = append(out, planField{"method", p.Method, ""}, planField{"delay", p.Delay, ""}, planField{"jitter", p.Jitter, ""}, share)
	case "error":
		out = append(out, planField{"method", p.Method, ""}, planField{"code", p.Code, ""}, share)
	case "kill":
		out = append(out, planField{"every", p.Every, ""})
	case "partition":
		out = append([]planField{{"caller", p.Caller, ""}}, out...)
	}
	return append(out, planField{"for", p.For, ""}, planField{"name", p.Name, ""})
}

// request is what is asked of the system, or which field can't be read: in the
// words of the command, and of the system itself about the rest.
func (p plannedFault) request() (*observev1.ExperimentServiceStartRequest, error) {
	var wrong error
	refuse := func(format, value string) {
		if wrong == nil {
			wrong = unreadable(format, value)
		}
	}
	span := func(what, text string) *durationpb.Duration {
		if text == "" {
			return nil
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			refuse(what+": want a time such as 300ms, 2s or 5m; got %q", text)
		}
		return durationpb.New(d)
	}
	share, err := strconv.ParseFloat(p.Share, 64)
	if err != nil || !(share > 0 && share <= 100) {
		refuse("share: want more than 0 and at most 100 percent, which is every call; got %q", p.Share)
	}
	share /= 100
	req := &observev1.ExperimentServiceStartRequest{Name: p.Name, Fault: &observev1.Fault{}}
	switch p.Kind {
	case "latency":
		req.Fault.Kind = &observev1.Fault_Latency{Latency: &observev1.LatencyFault{
			Service: p.Service, Method: p.Method, Delay: span("delay", p.Delay), Jitter: span("jitter", p.Jitter), Share: share,
		}}
	case "error":
		req.Fault.Kind = &observev1.Fault_Error{Error: &observev1.ErrorFault{Service: p.Service, Method: p.Method, Code: p.Code, Share: share}}
	case "kill":
		req.Fault.Kind = &observev1.Fault_Kill{Kill: &observev1.KillFault{Service: p.Service, Every: span("every", p.Every)}}
	case "partition":
		req.Fault.Kind = &observev1.Fault_Partition{Partition: &observev1.PartitionFault{From: p.Caller, To: p.Service}}
	default:
		refuse("fault: want one of latency, error, kill and partition; got %q", p.Kind)
	}
	req.Duration = span("for", p.For)
	return req, wrong
}

func unreadable(format, value string) error {
	return &frame.Problem{Status: 422, Title: "This is not possible", Text: fmt.Sprintf(format, value)}
}

// command starts the same from a terminal.
func (p plannedFault) command() string {
	words := []string{"warren experiment start", p.Kind}
	if p.Kind == "partition" {
		words = append(words, shellWord(p.Caller))
	}
	words = append(words, shellWord(p.Service))
	for _, f := range p.fields() {
		if f.name == "service" || f.name == "caller" || f.value == "" || f.value == f.usual {
			continue
		}
		words = append(words, "--"+f.name, shellWord(f.written()))
	}
	return strings.Join(append(words, "--reason 'why'"), " ")
}

// file is the same for `warren experiment run` and for tests.
func (p plannedFault) file() string {
	var at []string
	for _, f := range p.fields() {
		switch {
		case f.value == "" || f.value == f.usual || f.name == "for" || f.name == "name":
			continue
		case p.Kind == "partition":
			f.name = map[string]string{"service": "to", "caller": "from"}[f.name]
		}
		at = append(at, f.name+": "+yamlWord(f.written()))
	}
	lines := []string{"experiments:", "  - name: " + yamlWord(cmp.Or(p.Name, p.suggested())), "    reason: what is to be learned"}
	if p.For != "" {
		lines = append(lines, "    for: "+yamlWord(p.For))
	}
	return strings.Join(append(lines, "    "+p.Kind+": {"+strings.Join(at, ", ")+"}"), "\n") + "\n"
}

// suggested is a name for one that has none.
func (p plannedFault) suggested() string {
	if p.Kind == "partition" {
		return p.Kind + "-" + p.Caller + "-" + p.Service
	}
	return p.Kind + "-" + p.Service
}

// written is the value as commands and files have it: a share is of one there.
func (f planField) written() string {
	if share, err := strconv.ParseFloat(f.value, 64); f.name == "share" && err == nil {
		return strconv.FormatFloat(share/100, 'g', 4, 64)
	}
	return f.value
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)

func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return shellQuoted(text)
}

func yamlWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// planOfFault is the plan that would make a fault once more.
func planOfFault(e *observev1.Experiment) plannedFault {
	text := func(d *durationpb.Duration) string {
		if d.AsDuration() == 0 {
			return ""
		}
		return spelled.Duration(d.AsDuration())
	}
	share := func(s float64) string {
		if s == 0 {
			return "100"
		}
		return strconv.FormatFloat(100*s, 'g', 4, 64)
	}
	p := plannedFault{For: spelled.Duration(e.GetEnds().AsTime().Sub(e.GetStarted().AsTime()).Round(time.Second))}
	switch f := e.GetFault().GetKind().(type) {
	case *observev1.Fault_Latency:
		l := f.Latency
		p.Kind, p.Service, p.Method, p.Share = "latency", l.GetService(), l.GetMethod(), share(l.GetShare())
		p.Delay, p.Jitter = text(l.GetDelay()), text(l.GetJitter())
	case *observev1.Fault_Error:
		p.Kind, p.Service, p.Method = "error", f.Error.GetService(), f.Error.GetMethod()
		p.Code, p.Share = f.Error.GetCode(), share(f.Error.GetShare())
	case *observev1.Fault_Kill:
		p.Kind, p.Service, p.Every = "kill", f.Kill.GetService(), text(f.Kill.GetEvery())
	case *observev1.Fault_Partition:
		p.Kind, p.Caller, p.Service = "partition", f.Partition.GetFrom(), f.Partition.GetTo()
	}
	return p
}

// faultText tells what goes wrong, and whereText where.
func faultText(f *observev1.Fault) string {
	part := func(share float64) string {
		if share > 0 && share < 1 {
			return ", " + frame.Amount(share, "%") + " of the calls"
		}
		return ""
	}
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		text := "latency of " + frame.Span(f.Latency.GetDelay().AsDuration())
		if jitter := f.Latency.GetJitter().AsDuration(); jitter > 0 {
			text += " ± " + frame.Span(jitter)
		}
		return text + part(f.Latency.GetShare())
	case *observev1.Fault_Error:
		return "error " + cmp.Or(strings.ToUpper(f.Error.GetCode()), "UNAVAILABLE") + part(f.Error.GetShare())
	case *observev1.Fault_Kill:
		every := cmp.Or(f.Kill.GetEvery().AsDuration(), 30*time.Second)
		return "an instance killed every " + frame.Span(every)
	case *observev1.Fault_Partition:
		return "calls are lost"
	}
	return "nothing"
}

func whereText(f *observev1.Fault) (text, method string) {
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		return f.Latency.GetService(), strings.TrimPrefix(f.Latency.GetMethod(), "/")
	case *observev1.Fault_Error:
		return f.Error.GetService(), strings.TrimPrefix(f.Error.GetMethod(), "/")
	case *observev1.Fault_Kill:
		return f.Kill.GetService(), ""
	case *observev1.Fault_Partition:
		return f.Partition.GetFrom() + " → " + f.Partition.GetTo(), ""
	}
	return "–", ""
}
