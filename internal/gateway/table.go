package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/registry"
)

// table is all that can be reached, built when contracts or plain routes
// change and then only read.
type table struct {
	rest    tree
	routes  []*route
	methods map[string]*endpoint // external ones, by full name
	plain   *http.ServeMux
	plains  []*route
	openapi func() *document
}

// route is one place: a method's in REST, or a plain one of a service.
type route struct {
	method, pattern string
	endpoint        *endpoint // of a contract's method
	plan            *transcode.Plan
	service         string // of a plain route
	span            string
	metrics         *routeMetrics
}

// endpoint is a method as the edge sees it, with the numbers now in force.
type endpoint struct {
	method  *contract.Method
	body    *config.Value[int]
	limits  []*liveLimit
	byField bool          // a limit needs the request's fields
	secret  bool          // the answer has secret fields: it is neither compressed nor stored
	metrics *routeMetrics // of calls by gRPC
}

func (g *Gateway) newEndpoint(m *contract.Method) *endpoint {
	e := &endpoint{
		method:  m,
		body:    config.Watch(g.settings, settingBody, config.Scope{Service: m.Service, Method: m.FullName}),
		limits:  watchLimits(g.settings, m),
		secret:  hasSecret(m.Desc.Output(), map[protoreflect.FullName]bool{}),
		metrics: g.metrics.route(http.MethodPost, m.FullName),
	}
	for _, l := range e.limits {
		e.byField = e.byField || l.by == contract.ByField
	}
	return e
}

func hasSecret(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[md.FullName()] {
		return false
	}
	seen[md.FullName()] = true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if contract.Secret(fd) || fd.Message() != nil && hasSecret(fd.Message(), seen) {
			return true
		}
	}
	return false
}

// plainRoute is what instances announce as served by plain HTTP.
type plainRoute struct {
	service string
	route   registry.Route
}

// rebuild makes a new table when something has changed. Plain routes stay
// known like contracts when their instances are gone.
func (g *Gateway) rebuild() {
	g.building.Lock()
	defer g.building.Unlock()
	contracts, version := g.catalogue.all()
	fresh := false
	for _, in := range g.registry.Snapshot().Instances {
		for _, r := range in.Routes {
			if p := (plainRoute{in.Service, r}); in.State == registry.Ready && !g.plains[p] {
				g.plains[p], fresh = true, true
			}
		}
	}
	if g.table.Load() != nil && version == g.built && !fresh {
		return
	}
	g.built = version
	g.table.Store(g.build(contracts))
}

func (g *Gateway) build(contracts []*known) *table {
	t := &table{methods: map[string]*endpoint{}, plain: http.NewServeMux()}
	// Where two contracts claim a route, as after one was renamed, the one that
	// was seen last is meant.
	newest := slices.Clone(contracts)
	slices.SortStableFunc(newest, func(a, b *known) int { return b.started.Compare(a.started) })
	for _, k := range newest {
		for _, m := range k.service.Methods {
			if !m.External() {
				continue // it does not exist outside
			}
			e := g.endpoints[m]
			if e == nil {
				e = g.newEndpoint(m)
				g.endpoints[m] = e
			}
			t.methods[m.FullName] = e
			g.addRoutes(t, k, e)
		}
	}
	g.forgetEndpoints(t)
	g.addPlain(t)
	t.openapi = g.describe(contracts)
	return t
}

// forgetEndpoints drops those of contracts that were replaced.
func (g *Gateway) forgetEndpoints(t *table) {
	for m := range g.endpoints {
		if e := t.methods[m.FullName]; e == nil || e.method != m {
			delete(g.endpoints, m)
		}
	}
}

func (g *Gateway) addRoutes(t *table, k *known, e *endpoint) {
	for _, r := range e.method.Routes {
		plan, err := transcode.Compile(e.method, r, k.service.JSON, k.types)
		if err != nil {
			g.logger.Error("route refused", "error", err)
			continue
		}
		added := &route{
			method: r.Method, pattern: r.Pattern, span: r.Method + " " + r.Pattern, endpoint: e, plan: plan,
			metrics: g.metrics.route(r.Method, r.Pattern),
		}
		if taken := t.rest.add(r.Template, r.Method, added); taken != nil {
			g.logger.Error("route refused: two methods claim it", "route", r.Method+" "+r.Pattern,
				"method", e.method.FullName, "claimed_by", taken.endpoint.method.FullName)
			continue
		}
		t.routes = append(t.routes, added)
	}
}

func (g *Gateway) addPlain(t *table) {
	all := make([]plainRoute, 0, len(g.plains))
	for p := range g.plains {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b plainRoute) int {
		return strings.Compare(a.route.Pattern+a.route.Method+a.service, b.route.Pattern+b.route.Method+b.service)
	})
	for _, p := range all {
		pattern := strings.TrimSpace(p.route.Method + " " + p.route.Pattern)
		r := &route{
			method: p.route.Method, pattern: p.route.Pattern, span: pattern, service: p.service,
			metrics: g.metrics.route(p.route.Method, p.route.Pattern),
		}
		if err := handle(t.plain, pattern, r); err != nil {
			g.logger.Error("route refused", "route", pattern, "service", p.service, "error", err)
			continue
		}
		t.plains = append(t.plains, r)
	}
}

// ServeHTTP only makes a route a handler, so that a ServeMux can hold it.
func (r *route) ServeHTTP(http.ResponseWriter, *http.Request) {}

// handle registers a pattern that comes from a service; ServeMux answers to a
// wrong one with a panic.
func handle(mux *http.ServeMux, pattern string, r *route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(pattern, r)
	return nil
}

// found is where a request goes.
type found struct {
	route   *route
	vars    []string
	allowed []string // the path exists, for these methods
}

func (t *table) find(r *http.Request) found {
	method := r.Method
	hit, segments, allowed := t.rest.find(method, r.URL.Path)
	if hit != nil {
		vars, ok := hit.plan.Route.Template.Match(segments)
		if !ok { // cannot happen: the tree matched the same segments
			return found{}
		}
		return found{route: hit, vars: vars}
	}
	if h, pattern := t.plain.Handler(r); pattern != "" {
		if plain, ok := h.(*route); ok {
			return found{route: plain}
		}
		// A redirection, from /tree to /tree/: the service knows best where to.
		if i := slices.IndexFunc(t.plains, func(p *route) bool { return p.span == pattern }); i >= 0 {
			return found{route: t.plains[i]}
		}
	}
	return found{allowed: append(allowed, t.plainMethods(r)...)}
}

func (t *table) plainMethods(r *http.Request) (allowed []string) {
	if len(t.plains) == 0 {
		return nil
	}
	probe := *r
	for _, method := range [...]string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		probe.Method = method
		if _, pattern := t.plain.Handler(&probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// RouteInfo describes one route for people.
type RouteInfo struct {
	Method    string `json:"method"`
	Pattern   string `json:"pattern"`
	Target    string `json:"target"` // the contract's method, or the service
	Access    string `json:"access"`
	Available bool   `json:"available"`
}

// Routes lists what can be reached, by pattern.
func (g *Gateway) Routes() []RouteInfo {
	t := g.table.Load()
	var out []RouteInfo
	for _, r := range t.routes {
		m := r.endpoint.method
		out = append(out, RouteInfo{Method: r.method, Pattern: r.pattern, Target: m.FullName, Access: m.Access.String(),
			Available: len(g.registry.Contract(m.Service)) > 0})
	}
	for _, r := range t.plains {
		out = append(out, RouteInfo{Method: r.method, Pattern: r.pattern, Target: r.service, Access: "plain", Available: len(g.proxy.instances(r)) > 0})
	}
	slices.SortFunc(out, func(a, b RouteInfo) int {
		return strings.Compare(a.Pattern+" "+a.Method, b.Pattern+" "+b.Method)
	})
	return out
}
