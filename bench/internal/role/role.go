// Package role is what the programs of all contestants have in common: which
// part of the measurement they play, at which addresses, and how much they
// have allocated.
package role

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

// Flags say where a process listens and whom it calls.
type Flags struct {
	Address string // to serve on: host:port, or unix:path
	Service string // of the service to call
	Probe   string // where allocations are shown
	Traces  string // host:port of the trace collector
	Data    string // folder for files
}

// Sample is the share of traces that every contestant records.
const Sample = 0.01

// Main runs the role that the first argument names.
func Main(roles map[string]func(Flags) error) {
	if err := run(os.Args[1:], roles); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, roles map[string]func(Flags) error) error {
	if len(args) == 0 || roles[args[0]] == nil {
		return fmt.Errorf("run role: the first argument names none that this program has")
	}
	var f Flags
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&f.Address, "address", "127.0.0.1:0", "address to serve on")
	flags.StringVar(&f.Service, "service", "", "address of the service to call")
	flags.StringVar(&f.Probe, "probe", "", "address to show allocations at")
	flags.StringVar(&f.Traces, "traces", "", "address of the trace collector")
	flags.StringVar(&f.Data, "data", "", "folder for files")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if f.Probe != "" {
		if err := probe(f.Probe); err != nil {
			return err
		}
	}
	return roles[args[0]](f)
}

// Listen listens at an address, which may be unix:path.
func Listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return net.Listen("unix", path)
	}
	return net.Listen("tcp", address)
}

// probe shows what the process has allocated, in the words of the Prometheus
// client for Go, which Warren's processes speak anyway.
func probe(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for the probe: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintf(w, "go_memstats_mallocs_total %d\ngo_memstats_alloc_bytes_total %d\n", m.Mallocs, m.TotalAlloc)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return nil
}
