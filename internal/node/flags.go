package node

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gowarren/warren/internal/system"
)

// variable is one thing that the environment may say.
type variable struct {
	name     string // of the flag; the variable is WARREN_<NAME>
	usage    string
	fallback string
	set      func(*Environment) *string
}

// variables lists them all. Those without usage are set by the supervisor only.
var variables = []variable{
	{"system", "name of the system", "", func(e *Environment) *string { return &e.System }},
	{"environment",
		"environment of the system file and of the live settings (default: the one that the file names)",
		system.LocalEnvironment, func(e *Environment) *string { return &e.Environment }},
	{"service", "name of this service", "", func(e *Environment) *string { return &e.Service }},
	{"instance", "name of this process, unique in the system", "", func(e *Environment) *string { return &e.Instance }},
	{"version", "version of this service", "", func(e *Environment) *string { return &e.Version }},
	{"zone", "zone in which this process runs", "", func(e *Environment) *string { return &e.Zone }},
	{"registry", "URL of the registry, e.g. etcd://127.0.0.1:2379/shop", "", func(e *Environment) *string { return &e.Registry }},
	{"config", "URL of the configuration centre", "", func(e *Environment) *string { return &e.Config }},
	{"database", "URL of the database; {service} and {data} are replaced", "sqlite:{data}/{service}.db", func(e *Environment) *string { return &e.Database }},
	{"events", "URL of the broker of events, e.g. nats://127.0.0.1:4222/shop", "", func(e *Environment) *string { return &e.Events }},
	{"locks", "URL of the locks (default: those of the registry, if it is etcd)", "", func(e *Environment) *string { return &e.Locks }},
	{"traces", "URL of the trace collector, e.g. otlp://127.0.0.1:4317", "", func(e *Environment) *string { return &e.Traces }},
	{"address", "address to serve on", "127.0.0.1:0", func(e *Environment) *string { return &e.Address }},
	{"advertise",
		"host or host:port at which others reach this process, where it differs from the address",
		"", func(e *Environment) *string { return &e.Advertise }},
	{"admin", "address of health, metrics and profiles", "127.0.0.1:0", func(e *Environment) *string { return &e.Admin }},
	{"system-file", "the system file", "", func(e *Environment) *string { return &e.SystemFile }},
	{"key-file", "file with the system's secret", "", func(e *Environment) *string { return &e.KeyFile }},
	{"data", "folder of databases, snapshots and sockets", ".warren", func(e *Environment) *string { return &e.Data }},
	{"log-format", "json or human", "", func(e *Environment) *string { return &e.LogFormat }},
	{"log-level", "debug, info, warn or error", "info", func(e *Environment) *string { return &e.LogLevel }},
	{"parent-fd", "", "", func(e *Environment) *string { return &e.ParentFD }},
	{"listener-fd", "", "", func(e *Environment) *string { return &e.ListenerFD }},
}

// ErrHelp says that help was asked for and printed.
var ErrHelp = flag.ErrHelp

func (e *Environment) readFlags(args []string, output io.Writer) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is told once, by who gets it
	for _, v := range variables {
		if v.usage != "" {
			flags.StringVar(v.set(e), v.name, "", "")
		}
	}
	err := flags.Parse(args)
	if errors.Is(err, ErrHelp) {
		printFlags(output)
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return fmt.Errorf("read flags: %w; --help lists them", err)
	}
	return nil
}

func printFlags(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "Flags, and the variables that stand for them:\n\n")
	for _, v := range variables {
		if v.usage != "" {
			fmt.Fprintf(t, "  --%s\t%s\t%s\n", v.name, v.variable(), v.usage)
		}
	}
	_ = t.Flush() // there is nobody to tell
}

func (v variable) variable() string {
	return "WARREN_" + strings.ToUpper(strings.ReplaceAll(v.name, "-", "_"))
}
