package console

import (
	"strconv"
	"strings"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type routesView struct {
	Table   *frame.Table
	Gateway string
	Tabs    []tab
}

// Export is the list of routes.
func (v routesView) Export() *frame.Table { return v.Table }

// routes lists where methods lie in REST, as their contracts say.
func (s *screens) routes(r *frame.Request) (any, error) {
	list, err := s.contracts.List(r.Context(), &contractsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	t := frame.Table{
		Caption: "REST routes",
		Columns: []frame.Column{
			{Key: "path", Title: "Path"}, {Key: "verb", Title: "Verb"}, {Key: "method", Title: "Method"},
			{Key: "access", Title: "Who may call", Wide: true}, {Key: "service", Title: "Served by", Wide: true},
		},
		Empty: frame.Empty{
			Title: "No method lies in REST", Text: "A method whose contract gives it a path is served by the gateway there.",
			Code: "option (google.api.http) = {get: \"/v1/things\"};", Clear: clearOf(r, "q"),
		},
	}
	for _, c := range list.GetContracts() {
		if common(c.GetName()) {
			continue
		}
		d, err := s.contracts.Describe(r.Context(), &contractsv1.DescribeRequest{Contract: c.GetName()})
		if err != nil {
			r.Missing(c.GetName(), err)
			continue
		}
		for _, m := range d.GetMethods() {
			for _, route := range m.GetRoutes() {
				if strings.Contains(strings.ToLower(route.GetPath()+" "+m.GetName()), strings.ToLower(r.Get("q"))) {
					t.Rows = append(t.Rows, routeRow(len(t.Rows), c, m, route))
				}
			}
		}
	}
	t.Note = strconv.Itoa(len(t.Rows))
	return routesView{Table: r.Sorted(t, "path"), Gateway: s.gateway(r.Context()), Tabs: contractTabs("routes")}, nil
}

func routeRow(n int, c *contractsv1.Contract, m *contractsv1.Method, route *contractsv1.Route) frame.Row {
	return frame.Row{ID: "route-" + strconv.Itoa(n), Href: methodHref(c.GetName(), m.GetName()), Cells: []frame.Cell{
		frame.Mono(route.GetPath()), frame.Text(route.GetMethod()), {Text: m.GetName(), Sub: c.GetName()}, frame.Text(mayCall(m)), {Chips: c.GetServices()},
	}}
}

// contractTabs are the ways to look at contracts.
func contractTabs(here string) []tab {
	return []tab{{"This system's", "/contracts", here == ""}, {"All", "/contracts?show=all", here == "all"}, {"REST routes", "/routes", here == "routes"}}
}
