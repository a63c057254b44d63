package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// served lists the contracts of a service, without those that all have.
func (s *screens) served(ctx context.Context, service string) ([]string, error) {
	list, err := s.contracts.List(ctx, &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range list.GetContracts() {
		if slices.Contains(c.GetServices(), service) && !common(c.GetName()) {
			out = append(out, c.GetName())
		}
	}
	return out, nil
}

// common contracts are served by every process, and tell nothing of it.
func common(name string) bool { return strings.HasPrefix(name, "grpc.") }

type contractsView struct {
	Table   *frame.Table
	Tabs    []tab
	Gateway string
}

// Export is the list of contracts.
func (v contractsView) Export() *frame.Table { return v.Table }

func (s *screens) contractList(r *frame.Request) (any, error) {
	list, err := s.contracts.List(r.Context(), &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	all := r.Get("show") == "all"
	v := contractsView{Tabs: contractTabs(r.Get("show")), Gateway: s.gateway(r.Context())}
	t := frame.Table{
		Caption: "Contracts",
		Columns: []frame.Column{
			{Key: "name", Title: "Contract"},
			{Key: "of", Title: "Served by"},
			{Key: "instances", Title: "Instances", Number: true},
			{Key: "health", Title: "State"},
		},
		Empty: frame.Empty{
			Title: "No contract is served", Text: "A service registers the contracts that it serves; then it is found by them.",
			Code: "warren new service greeting", Clear: clearOf(r, "q", "show"),
		},
	}
	for _, c := range list.GetContracts() {
		if !all && (common(c.GetName()) || strings.HasPrefix(c.GetName(), "warren.")) ||
			!strings.Contains(strings.ToLower(c.GetName()), strings.ToLower(r.Get("q"))) {
			continue
		}
		ready := 0
		for _, i := range c.GetInstances() {
			if i.GetState() == "ready" {
				ready++
			}
		}
		state := frame.Status{Word: fmt.Sprintf("%d ready", ready), Tone: frame.Good}
		if ready == 0 {
			state = frame.Status{Word: "nobody is ready", Tone: frame.Bad}
		}
		t.Rows = append(t.Rows, frame.Row{ID: "contract-" + c.GetName(), Href: "/contracts/" + url.PathEscape(c.GetName()), Cells: []frame.Cell{
			{Text: shortName(c.GetName()), Sub: c.GetName()}, {Chips: c.GetServices()}, frame.Number(int64(len(c.GetInstances()))),
			{Text: state.Word, Status: &state},
		}})
	}
	t.Note = strconv.Itoa(len(t.Rows))
	v.Table = r.Sorted(t, "name")
	return v, nil
}

// clearOf is the page without filters, where there are some.
func clearOf(r *frame.Request, names ...string) string {
	if !r.Filtered(names...) {
		return ""
	}
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, "")
	}
	return r.With(pairs...)
}

type contractView struct {
	Name, Short, Doc string
	Contract         *contractsv1.Contract
	Methods          []methodView
	Messages         []*contractsv1.Message
}

// methodView is a method with what the contract says of it in words.
type methodView struct {
	*contractsv1.Method
	Promises   []fact
	Curl, Href string
}

func (s *screens) contract(r *frame.Request) (any, error) {
	name := r.PathValue("contract")
	d, err := s.contracts.Describe(r.Context(), &contractsv1.DescribeRequest{Contract: name})
	if err != nil {
		return nil, err
	}
	v := contractView{Name: name, Short: shortName(name), Doc: d.GetDoc(), Contract: d.GetContract(), Messages: d.GetMessages()}
	gateway := s.gateway(r.Context())
	for _, m := range d.GetMethods() {
		v.Methods = append(v.Methods, methodView{m, promises(m), curl(gateway, name, m), methodHref(name, m.GetName())})
	}
	return v, nil
}

// promises are what a contract says of a method, in words.
func promises(m *contractsv1.Method) []fact {
	repeat := "must not be repeated"
	if m.GetIdempotent() {
		repeat = "may be repeated"
	}
	if m.GetSafe() {
		repeat = "changes nothing, may be repeated"
	}
	out := []fact{{"Who may call", mayCall(m)}, {"Retries", repeat}}
	if m.GetTimeout() != nil {
		out = append(out, fact{"Timeout", frame.Span(m.GetTimeout().AsDuration())})
	}
	if m.GetIdempotencyKey() != "none" && m.GetIdempotencyKey() != "" {
		out = append(out, fact{"Idempotency key", m.GetIdempotencyKey()})
	}
	for _, one := range []fact{{"Undone by", m.GetCompensate()}, {"Confirmed by", m.GetConfirm()}, {"Cancelled by", m.GetCancel()}} {
		if one.Value != "" {
			out = append(out, one)
		}
	}
	if m.GetServerStreams() || m.GetClientStreams() {
		out = append(
			out,
			fact{
				"Streams", strings.TrimSpace(map[bool]string{true: "requests "}[m.GetClientStreams()] + map[bool]string{true: "answers"}[m.GetServerStreams()]),
			},
		)
	}
	return out
}

// mayCall is who may call a method, in words.
func mayCall(m *contractsv1.Method) string {
	access := map[string]string{"internal": "other services only", "public": "everybody", "authenticated": "whoever is signed in"}
	return cmp.Or(access[m.GetAccess()], "roles: "+strings.Join(m.GetRoles(), ", "))
}

// curl is how to try a method from a terminal.
func curl(gateway, contract string, m *contractsv1.Method) string {
	if gateway == "" || len(m.GetRoutes()) == 0 {
		return fmt.Sprintf("warren call %s/%s '%s'", contract, m.GetName(), strings.Join(strings.Fields(m.GetExample()), " "))
	}
	route := m.GetRoutes()[0]
	text := "curl -s " + shellQuoted("http://"+gateway+route.GetPath())
	if route.GetMethod() != "GET" {
		text += " -X " + route.GetMethod()
	}
	if route.GetMethod() == "POST" || route.GetMethod() == "PUT" || route.GetMethod() == "PATCH" {
		text += " -H 'Content-Type: application/json' -d " + shellQuoted(strings.Join(strings.Fields(m.GetExample()), " "))
	}
	return text
}

func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
