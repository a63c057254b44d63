package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
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
	Events   string
	Locks    string

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

// ReadEnvironment reads flags, variables and the system file, in this order of
// strength. A process without a registry joins the system that runs in its
// data folder, if one does: so a service started by hand, or by a debugger,
// stands beside those that the supervisor started.
func ReadEnvironment(args []string, getenv func(string) string, output io.Writer) (Environment, error) {
	var env Environment
	if err := env.readFlags(args, output); err != nil {
		return env, err
	}
	env.overlay(getenv)
	if env.Registry == "" {
		joined, err := readRunning(orElse(env.Data, ".warren"))
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

// overlay fills what is still empty.
func (e *Environment) overlay(getenv func(string) string) {
	for _, v := range variables {
		if field := v.set(e); *field == "" {
			*field = getenv(v.variable())
		}
	}
}

// ControlSocket is where the supervisor of the system in a data folder
// answers the command.
func ControlSocket(data string) string { return filepath.Join(data, "run", "control.sock") }

func answers(socket string) bool {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", socket) // at once, or not at all
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// readRunning reads what the supervisor wrote for processes that join. One
// that was killed left it behind: whether it runs, its socket tells.
func readRunning(data string) (map[string]string, error) {
	if !answers(ControlSocket(data)) {
		return nil, nil
	}
	f, err := os.Open(filepath.Join(data, "run", "env"))
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
	if e.SystemFile == "-" {
		e.SystemFile = ""
		return nil
	}
	if e.SystemFile == "" {
		const usual = "warren.yaml"
		if _, err := os.Stat(usual); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		e.SystemFile = usual
	}
	sys, err := system.Load(e.SystemFile, e.Environment)
	if err != nil {
		return err
	}
	e.File = sys
	e.System = orElse(e.System, sys.Name)
	e.Environment = sys.Environment
	places := system.Places{Service: e.Service, Data: e.Data}
	e.Registry = orElse(e.Registry, sys.Expand(external(sys.Engines.Registry), places))
	e.Config = orElse(e.Config, sys.Expand(external(sys.Engines.Config), places))
	e.Database = orElse(e.Database, orElse(databaseOf(sys, e.Service), sys.Engines.Database))
	e.Traces = orElse(e.Traces, external(sys.Engines.Traces))
	e.Events = orElse(e.Events, sys.Expand(external(sys.Engines.Events), places))
	e.Locks = orElse(e.Locks, sys.Expand(external(sys.Engines.Locks), places))
	return nil
}

// databaseOf is the database that the file gives to one service, if it does.
func databaseOf(sys *system.System, service string) string {
	for _, s := range sys.Services {
		if s.Name == service {
			return s.Database
		}
	}
	return ""
}

// external is the URL of an engine that does not run inside the supervisor.
func external(url string) string {
	if url == system.Embedded || strings.HasPrefix(url, system.Embedded+"://") {
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
	if strings.HasPrefix(e.Registry, "etcd:") { // an engine that is all three
		e.Config = orElse(e.Config, e.Registry)
		e.Locks = orElse(e.Locks, e.Registry)
	}
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

// Expand replaces {service}, {data}, {system} and {environment} in a URL.
func (e Environment) Expand(url string) string {
	return strings.NewReplacer("{service}", e.Service, "{data}", e.Data,
		"{system}", e.System, "{environment}", e.Environment).Replace(url)
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
