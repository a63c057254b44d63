// Package admin is what a process shows to those who run it: whether it lives
// and is ready, its metrics, its profiles, and which policies are in force. It
// belongs on a listener of its own, on loopback unless somebody says otherwise.
//
// It only shows: nothing is changed through it, and values that are secret
// arrive redacted by those who hold them. The command line, which may carry a
// password, is not among the profiles.
package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds the checks behind /readyz: a probe that hangs tells
// nobody anything.
const readyTimeout = 3 * time.Second

// Check is what one dependency says of itself.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"` // why not
}

// Options are the sources of what is shown. Each may be nil.
type Options struct {
	// Ready runs the checks; the process is ready when all are OK.
	Ready func(context.Context) []Check
	// Metrics are shown at /metrics.
	Metrics prometheus.Gatherer
	// Policies are the settings in force and where each comes from.
	Policies func() any
	// Sections are shown beside the policies, by name.
	Sections map[string]func() any
}

// New returns the handler.
func New(opts Options) http.Handler {
	a := &pages{Options: opts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.index)
	mux.HandleFunc("GET /healthz", a.health)
	mux.HandleFunc("GET /readyz", a.ready)
	mux.HandleFunc("GET /debug/policies", a.policies)
	mux.HandleFunc("GET /debug/policies/{section}", a.section)
	mux.Handle("GET /debug/goroutines", http.RedirectHandler("/debug/pprof/goroutine?debug=2", http.StatusFound))
	mux.HandleFunc("GET /debug/pprof/{$}", profiles)
	mux.HandleFunc("GET /debug/pprof/profile", cpuProfile)
	mux.HandleFunc("GET /debug/pprof/trace", executionTrace)
	mux.HandleFunc("GET /debug/pprof/{name}", (&contention{}).namedProfile)
	if opts.Metrics != nil {
		// One metric that can't be gathered must not hide the others.
		mux.Handle("GET /metrics", promhttp.HandlerFor(opts.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	}
	return sameSite(mux)
}

// sameSite keeps web pages from reading a developer's process through their
// browser, which sends this header where a page may not lie about it.
func sameSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "not for other sites", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

type pages struct{ Options }

func (a *pages) index(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `/healthz            the process lives
/readyz             it can serve, or why not
/metrics            Prometheus metrics
/debug/policies     what is in force and where each value comes from; /debug/policies/<section> shows one part
/debug/goroutines   what every goroutine is doing
/debug/pprof/       profiles
`)
}

// health answers as long as the process can answer at all.
func (a *pages) health(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

func (a *pages) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	answer := struct {
		Ready  bool    `json:"ready"`
		Checks []Check `json:"checks"`
	}{Ready: true, Checks: []Check{}}
	if a.Ready != nil {
		answer.Checks = append(answer.Checks, a.Ready(ctx)...)
	}
	for _, check := range answer.Checks {
		answer.Ready = answer.Ready && check.OK
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, answer)
}

// all returns the sections, the policies among them.
func (a *pages) all() map[string]func() any {
	sections := maps.Clone(a.Sections)
	if sections == nil {
		sections = make(map[string]func() any)
	}
	if a.Policies != nil {
		sections["policies"] = a.Policies
	}
	return sections
}

// section answers as policies does, with one part: others may be large.
func (a *pages) section(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("section")
	sections := a.all()
	section := sections[name]
	if section == nil {
		names := slices.Sorted(maps.Keys(sections))
		http.Error(w, "there is no such section; there are "+strings.Join(names, ", "), http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{name: section()})
}

func (a *pages) policies(w http.ResponseWriter, _ *http.Request) {
	sections := a.all()
	answer := make(map[string]any, len(sections))
	for name, section := range sections {
		answer[name] = section()
	}
	writeJSON(w, http.StatusOK, answer)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A reader that went away is no concern of the process.
	_, _ = w.Write(append(text, '\n'))
}
