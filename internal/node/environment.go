package node

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gowarren/warren/internal/system"
	"github.com/gowarren/warren/registry"
)

// Environment is what a process is told from outside: who it is and where its
// engines are. Flags win over variables, variables over the system file.
type Environment struct {
	System      string // the system's name
	Environment string // "local", "production", …
	Service     string
	Instance    string // unique in the system
	Version     string
	Zone        string
	Host        string // identity of the machine

	Registry string // URLs
	Config   string
	Database string // may hold {service}
	Traces   string

	Address    string // to serve on
	Advertise  string // to be called at, where it differs
	Admin      string // of the admin listener
	SystemFile string
	KeyFile    string // the system's secret
	Data       string // folder of snapshots and sockets
	LogFormat  string
	LogLevel   string

	ParentFD   string // the life line of the supervisor
	ListenerFD string // a listener that the supervisor holds open

	File *system.System // the system file, nil where there is none
}

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
	{"environment", "environment of the system file and of the live settings", "local", func(e *Environment) *string { return &e.Environment }},
	{"service", "name of this service", "", func(e *Environment) *string { return &e.Service }},
	{"instance", "name of this process, unique in the system", "", func(e *Environment) *string { return &e.Instance }},
	{"version", "version of this service", "", func(e *Environment) *string { return &e.Version }},
	{"zone", "zone in which this process runs", "", func(e *Environment) *string { return &e.Zone }},
	{"registry", "URL of the registry, e.g. etcd://127.0.0.1:2379/shop", "", func(e *Environment) *string { return &e.Registry }},
	{"config", "URL of the configuration centre", "", func(e *Environment) *string { return &e.Config }},
	{"database", "URL of the database; {service} and {data} are replaced", "sqlite:{data}/{service}.db", func(e *Environment) *string { return &e.Database }},
	{"traces", "URL of the trace collector, e.g. otlp://127.0.0.1:4317", "", func(e *Environment) *string { return &e.Traces }},
	{"address", "address to serve on", "127.0.0.1:0", func(e *Environment) *string { return &e.Address }},
	{"advertise", "host or host:port at which others reach this process, where it differs from the address", "", func(e *Environment) *string { return &e.Advertise }},
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

// ReadEnvironment reads flags, variables and the system file, in this order of
// strength. A process without a registry joins the system that runs in its
// data folder, if one does: so a service started by hand, or by a debugger,
// stands beside those that the supervisor started.
func ReadEnvironment(args []string, getenv func(string) string, output io.Writer) (Environment, error) {
	var env Environment
	flags := flag.NewFlagSet(filepath.Base(os.Args[0]), flag.ContinueOnError)
	flags.SetOutput(output)
	for _, v := range variables {
		if v.usage != "" {
			flags.StringVar(v.set(&env), v.name, "", v.usage+" ("+v.variable()+")")
		}
	}
	if err := flags.Parse(args); err != nil {
		return env, err
	}
	if flags.NArg() > 0 {
		return env, fmt.Errorf("read flags: unexpected argument %q", flags.Arg(0))
	}
	env.overlay(getenv)
	if env.Registry == "" {
		joined, err := readRunning(filepath.Join(orElse(env.Data, ".warren"), "run", "env"))
		if err != nil {
			return env, err
		}
		env.overlay(func(key string) string { return joined[key] })
	}
	if err := env.overlaySystemFile(); err != nil {
		return env, err
	}
	return env.withDefaults()
}

func (v variable) variable() string {
	return "WARREN_" + strings.ToUpper(strings.ReplaceAll(v.name, "-", "_"))
}

// overlay fills what is still empty.
func (e *Environment) overlay(getenv func(string) string) {
	for _, v := range variables {
		if field := v.set(e); *field == "" {
			*field = getenv(v.variable())
		}
	}
}

// readRunning reads what the supervisor wrote for processes that join.
func readRunning(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the running system: %w", err)
	}
	defer f.Close()
	out := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			out[key] = value
		}
	}
	return out, nil
}

func (e *Environment) overlaySystemFile() error {
	if e.SystemFile == "" {
		if _, err := os.Stat("warren.yaml"); err != nil {
			return nil
		}
		e.SystemFile = "warren.yaml"
	}
	sys, err := system.Load(e.SystemFile, orElse(e.Environment, "local"))
	if err != nil {
		return err
	}
	e.File = sys
	e.System = orElse(e.System, sys.Name)
	e.Registry = orElse(e.Registry, external(sys.Engines.Registry))
	e.Config = orElse(e.Config, external(sys.Engines.Config))
	e.Database = orElse(e.Database, sys.Engines.Database)
	e.Traces = orElse(e.Traces, sys.Engines.Traces)
	return nil
}

// external is the URL of an engine that does not run inside the supervisor.
func external(url string) string {
	if url == system.Embedded {
		return ""
	}
	return url
}

func (e Environment) withDefaults() (Environment, error) {
	for _, v := range variables {
		if field := v.set(&e); *field == "" {
			*field = v.fallback
		}
	}
	e.Host = registry.HostIdentity()
	e.Service = orElse(e.Service, filepath.Base(os.Args[0]))
	e.System = orElse(e.System, e.Service)
	e.Config = orElse(e.Config, e.Registry)
	e.Version = orElse(e.Version, buildVersion())
	if e.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return e, fmt.Errorf("name the instance: %w; give --instance", err)
		}
		e.Instance = fmt.Sprintf("%s/%s.%d", e.Service, host, os.Getpid())
	}
	return e, nil
}

// Expand replaces {service} and {data} in a URL.
func (e Environment) Expand(url string) string {
	return strings.NewReplacer("{service}", e.Service, "{data}", e.Data).Replace(url)
}

// buildVersion is what the Go toolchain knows of the program.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return strings.Trim(info.Main.Version, "()")
}

func orElse(value, fallback string) string {
	if value != "" {
		return value
	}
	return fallback
}

// descriptor returns the number of an inherited file, or 0.
func descriptor(text string) (uintptr, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("read inherited file %q: %w", text, err)
	}
	return uintptr(n), nil
}
