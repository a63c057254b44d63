package console

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type methodPage struct {
	Contract, Short string
	Method          methodView
	Messages        []*contractsv1.Message
	Services        []string
	Form            callForm
	Answer          *answerView
	CalledBy, Calls *frame.Table
}

// callForm is what somebody fills in to try a method.
type callForm struct {
	Body, Key, Service, Reason string
	// Why it can't be called from here; empty: it can.
	Why             string
	Keyed           bool
	Changes         bool
	Users           bool // whether it matters in whose name
	Rows            int
	NeedsUser       string
	IdempotencyKind string
}

// answerView is what came of a call.
type answerView struct {
	*contractsv1.CallResponse
	Status  frame.Status
	Facts   []fact
	Bodies  []string
	Headers *frame.Table
	Trace   string
	// Problem is why nothing was called at all.
	Problem string
}

func methodHref(contract, method string) string {
	return "/contracts/" + url.PathEscape(contract) + "/" + url.PathEscape(method)
}

// method is the page of one method: what its contract says, how to try it, who
// calls it, and whom it calls.
func (s *screens) method(r *frame.Request) (any, error) {
	v, err := s.methodPage(r)
	if err != nil {
		return nil, err
	}
	v.Form.Body, v.Form.Rows = v.Method.GetExample(), rowsOf(v.Method.GetExample())
	return v, nil
}

func (s *screens) methodPage(r *frame.Request) (*methodPage, error) {
	contract, name := r.PathValue("contract"), r.PathValue("method")
	d, err := s.contracts.Describe(r.Context(), &contractsv1.DescribeRequest{Contract: contract})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.GetMethods(), func(m *contractsv1.Method) bool { return m.GetName() == name })
	if i < 0 {
		return nil, &frame.Problem{Status: http.StatusNotFound, Title: "It is not there", Text: contract + " has no method " + name + "."}
	}
	m := d.GetMethods()[i]
	v := &methodPage{
		Contract: contract, Short: shortName(contract), Services: d.GetContract().GetServices(), Messages: messagesOf(d.GetMessages(), m),
		Method: methodView{m, promises(m), curl(s.gateway(r.Context()), contract, m), methodHref(contract, name)}, Form: formOf(contract, m),
	}
	v.CalledBy, err = s.callers(r, contract+"/"+name)
	r.Missing("Who calls it", err)
	v.Calls, err = s.callees(r, contract+"/"+name)
	r.Missing("Whom it calls", err)
	return v, nil
}

// messagesOf are the messages of a method: its own first.
func messagesOf(all []*contractsv1.Message, m *contractsv1.Method) []*contractsv1.Message {
	var out []*contractsv1.Message
	wanted := []string{m.GetInput(), m.GetOutput()}
	for i := 0; i < len(wanted); i++ {
		at := slices.IndexFunc(all, func(one *contractsv1.Message) bool { return one.GetName() == wanted[i] })
		if at < 0 {
			continue
		}
		out = append(out, all[at])
		for _, f := range all[at].GetFields() {
			for word := range strings.FieldsSeq(f.GetType()) {
				if strings.Contains(word, ".") && !slices.Contains(wanted, word) {
					wanted = append(wanted, word)
				}
			}
		}
	}
	return out
}

func formOf(contract string, m *contractsv1.Method) callForm {
	f := callForm{
		Changes: !m.GetSafe(), Keyed: m.GetIdempotencyKey() != "none" && m.GetIdempotencyKey() != "", Users: m.GetAccess() != "internal",
		IdempotencyKind: m.GetIdempotencyKey(),
	}
	switch m.GetAccess() {
	case "authenticated":
		f.NeedsUser = "It needs a signed-in user."
	case "roles":
		f.NeedsUser = "It needs a user with the role " + strings.Join(m.GetRoles(), " or ") + "."
	}
	switch {
	case m.GetClientStreams():
		f.Why = "It takes a stream of messages, which is not sent from here."
	case common(contract) || strings.HasPrefix(contract, "warren."):
		f.Why = "It is Warren's own: what people do by it has pages and commands, which ask for more."
	}
	if f.Keyed {
		f.Key = rand.Text()
	}
	return f
}

func rowsOf(text string) int {
	const least, most = 4, 24
	return max(least, min(most, strings.Count(text, "\n")+2))
}

// try calls the method, and shows the page with what came of it.
func (s *screens) try(r *frame.Request) (any, error) {
	v, err := s.methodPage(r)
	if err != nil {
		return nil, err
	}
	form := r.PostForm
	v.Form.Body, v.Form.Reason, v.Form.Service = form.Get("body"), r.Reason(), form.Get("service")
	v.Form.Key, v.Form.Rows = cmp.Or(strings.TrimSpace(form.Get("key")), v.Form.Key), rowsOf(form.Get("body"))
	switch {
	case v.Form.Why != "":
		v.Answer = notCalled(r, v.Form.Why)
		return v, nil
	case v.Form.Changes && v.Form.Reason == "":
		v.Answer = notCalled(r, "Say why: it changes something, and the reason is kept with your name.")
		return v, nil
	}
	request := &contractsv1.CallRequest{
		Method: "/" + v.Contract + "/" + v.Method.GetName(), Json: v.Form.Body, Token: bearer(form.Get("token")), Service: v.Form.Service,
		Author: r.Caller.Name, Reason: v.Form.Reason,
	}
	if v.Form.Keyed {
		request.IdempotencyKey = v.Form.Key
	}
	answer, err := s.contracts.Call(r.Context(), request)
	if err != nil {
		v.Answer = notCalled(r, frame.Say(err))
		return v, nil
	}
	v.Answer = answerOf(answer)
	return v, nil
}

// bearer is a token as somebody pastes it.
func bearer(text string) string {
	text = strings.TrimSpace(text)
	const scheme = "bearer "
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		text = strings.TrimSpace(text[len(scheme):])
	}
	return text
}

func notCalled(r *frame.Request, why string) *answerView {
	r.Fail(http.StatusUnprocessableEntity)
	return &answerView{Problem: why}
}

// answerOf is what came of a call, in words.
func answerOf(a *contractsv1.CallResponse) *answerView {
	v := &answerView{CallResponse: a, Status: frame.Status{Word: a.GetCode(), Tone: frame.Good}}
	switch status := a.GetHttpStatus(); {
	case status >= http.StatusInternalServerError:
		v.Status.Tone = frame.Bad
	case status >= http.StatusBadRequest:
		v.Status.Tone = frame.Warn
	}
	v.Facts = []fact{
		{"In REST", strconv.Itoa(int(a.GetHttpStatus())) + " " + http.StatusText(int(a.GetHttpStatus()))},
		{"Took", frame.Span(a.GetTook().AsDuration())},
	}
	for _, one := range []fact{{"Answered by", a.GetInstance()}, {"Reason", a.GetReason()}, {"Of", a.GetDomain()}} {
		if one.Value != "" {
			v.Facts = append(v.Facts, one)
		}
	}
	if a.GetRetryAfter() != nil {
		v.Facts = append(v.Facts, fact{"Again after", frame.Span(a.GetRetryAfter().AsDuration())})
	}
	for name, value := range a.GetMetadata() {
		v.Facts = append(v.Facts, fact{name, value})
	}
	for _, text := range a.GetAnswers() {
		v.Bodies = append(v.Bodies, frame.Indented(text))
	}
	if a.GetTraceId() != "" {
		v.Trace = "/traces/" + a.GetTraceId()
	}
	t := &frame.Table{Caption: "Headers", Columns: []frame.Column{{Title: "Name", Fixed: true}, {Title: "Value", Fixed: true}}}
	for i, h := range slices.Concat(a.GetHeaders(), a.GetTrailers()) {
		t.Rows = append(t.Rows, frame.Row{ID: "header-" + strconv.Itoa(i), Cells: []frame.Cell{frame.Mono(h.GetName()), frame.Mono(h.GetValue())}})
	}
	v.Headers = t
	return v
}
