package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Scope is where a value applies: everywhere (the zero Scope), in one service
// or contract, for one method, or for one method in one service.
type Scope struct {
	// Service is a deployed service ("catalog") or a contract
	// ("shop.catalog.v1.CatalogService").
	Service string `json:"service,omitempty"`
	// Method is a full method name ("/shop.catalog.v1.CatalogService/GetProduct").
	Method string `json:"method,omitempty"`
}

var (
	serviceForm  = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	contractForm = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$`)
	methodForm   = regexp.MustCompile(`^/[A-Za-z_]\w*(\.[A-Za-z_]\w*)*/[A-Za-z_]\w*$`)
)

// ParseScope reads a scope as people write it: "" or "all", "catalog",
// "shop.catalog.v1.CatalogService", "/shop.catalog.v1.CatalogService/GetProduct"
// (the first slash may be left out), "order:/shop.catalog.v1.CatalogService/GetProduct".
func ParseScope(text string) (Scope, error) {
	if text == "" || text == "all" {
		return Scope{}, nil
	}
	var s Scope
	service, method, both := strings.Cut(text, ":")
	switch {
	case both:
		s = Scope{Service: service, Method: method}
	case strings.Contains(text, "/"):
		s = Scope{Method: text}
	default:
		s = Scope{Service: text}
	}
	if s.Method != "" && s.Method[0] != '/' {
		s.Method = "/" + s.Method
	}
	if both && (service == "" || method == "") {
		return Scope{}, unknownForm(text)
	}
	return s, s.check()
}

// String returns the form that ParseScope reads; "all" for the zero Scope.
func (s Scope) String() string {
	switch {
	case s == Scope{}:
		return "all"
	case s.Method == "":
		return s.Service
	case s.Service == "":
		return s.Method
	}
	return s.Service + ":" + s.Method
}

func (s Scope) check() error {
	service := s.Service == "" || serviceForm.MatchString(s.Service) ||
		s.Method == "" && contractForm.MatchString(s.Service)
	method := s.Method == "" || methodForm.MatchString(s.Method)
	if service && method {
		return nil
	}
	return unknownForm(s.String())
}

func unknownForm(scope string) error {
	return fmt.Errorf("unknown form of scope %q: write a service (catalog), a contract (shop.catalog.v1.CatalogService), "+
		"a method (/shop.catalog.v1.CatalogService/GetProduct), both (order:/shop.catalog.v1.CatalogService/GetProduct), or all", scope)
}

// covering lists the scopes of entries that apply to s in a process of the
// service own, the most specific first.
func (s Scope) covering(own string) []Scope {
	target, contract := s.Service, ""
	if strings.Contains(target, ".") {
		target, contract = "", s.Service
	}
	if s.Method != "" {
		contract, _, _ = strings.Cut(strings.TrimPrefix(s.Method, "/"), "/")
	}
	var out []Scope
	add := func(c Scope) {
		if slices.Contains(out, c) {
			return
		}
		out = append(out, c)
	}
	if s.Method != "" {
		if target != "" {
			add(Scope{Service: target, Method: s.Method})
		}
		if own != "" {
			add(Scope{Service: own, Method: s.Method})
		}
		add(Scope{Method: s.Method})
	}
	for _, service := range []string{contract, target, own} {
		if service != "" {
			add(Scope{Service: service})
		}
	}
	add(Scope{})
	return out
}

func checkService(name string) error {
	if !serviceForm.MatchString(name) {
		return fmt.Errorf("service %q: a name is a letter and then letters, digits and -, all lower-case", name)
	}
	return nil
}
