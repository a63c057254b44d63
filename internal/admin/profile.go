package admin

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"time"
)

// net/http/pprof would do most of this, but importing it opens the profiles on
// http.DefaultServeMux, to whoever serves that.

// maxProfile bounds how long a profile may record.
const maxProfile = 5 * time.Minute

// profiles lists what can be fetched.
func profiles(w http.ResponseWriter, _ *http.Request) {
	all := pprof.Profiles()
	slices.SortFunc(all, func(a, b *pprof.Profile) int { return cmp.Compare(a.Name(), b.Name()) })
	for _, p := range all {
		fmt.Fprintf(w, "%8d  /debug/pprof/%s?debug=1\n", p.Count(), p.Name())
	}
	fmt.Fprint(w, "          /debug/pprof/profile?seconds=30\n          /debug/pprof/trace?seconds=1\n")
}

// namedProfile writes a snapshot: heap, goroutine, mutex and so on.
func (c *contention) namedProfile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	profile := pprof.Lookup(name)
	if profile == nil {
		http.Error(w, "unknown profile "+strconv.Quote(name)+"; /debug/pprof/ lists them", http.StatusNotFound)
		return
	}
	counted := name == "mutex" || name == "block" || name == "allocs"
	if counted && r.FormValue("seconds") != "" {
		c.countedProfile(w, r, profile)
		return
	}
	if r.FormValue("seconds") != "" {
		http.Error(w, "fetch two snapshots and compare them: go tool pprof -base", http.StatusBadRequest)
		return
	}
	debug, err := strconv.Atoi(cmp.Or(r.FormValue("debug"), "0"))
	if err != nil {
		http.Error(w, "debug is a number", http.StatusBadRequest)
		return
	}
	if name == "heap" && r.FormValue("gc") == "1" {
		runtime.GC()
	}
	if debug > 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		attach(w, name)
	}
	// A reader that went away is no concern of the process.
	_ = profile.WriteTo(w, debug)
}

func cpuProfile(w http.ResponseWriter, r *http.Request) {
	record(w, r, "profile", 30*time.Second, pprof.StartCPUProfile, pprof.StopCPUProfile)
}

func executionTrace(w http.ResponseWriter, r *http.Request) {
	record(w, r, "trace", time.Second, trace.Start, trace.Stop)
}

// record lets a recorder run for the seconds asked for, or until the reader
// goes away.
func record(w http.ResponseWriter, r *http.Request, name string, usual time.Duration, start func(io.Writer) error, stop func()) {
	length, ok := lengthOf(w, r, usual)
	if !ok {
		return
	}
	attach(w, name)
	if err := start(w); err != nil {
		w.Header().Del("Content-Disposition")
		http.Error(w, "record "+name+": "+err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// lengthOf reads for how long to record, or says what is wrong with it.
func lengthOf(w http.ResponseWriter, r *http.Request, usual time.Duration) (time.Duration, bool) {
	text := r.FormValue("seconds")
	if text == "" {
		return usual, true
	}
	seconds, err := strconv.ParseFloat(text, 64)
	length := time.Duration(seconds * float64(time.Second))
	if err != nil || length <= 0 || length > maxProfile {
		http.Error(w, fmt.Sprintf("seconds is a number up to %g", maxProfile.Seconds()), http.StatusBadRequest)
		return 0, false
	}
	return length, true
}

func attach(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}
