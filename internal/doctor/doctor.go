// Package doctor examines what a system stands on: the machine, the engines,
// the contracts, and what another environment's engines promise differently.
package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/gowarren/warren/internal/lint"
	"github.com/gowarren/warren/internal/protogen"
	"github.com/gowarren/warren/internal/system"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Fine    Level = "ok"
	Warning Level = "warning"
	Broken  Level = "broken"
	Differs Level = "differs" // between two environments
)

// Finding is what the doctor says of one thing.
type Finding struct {
	Level   Level  `json:"level"`
	Area    string `json:"area"` // machine, engine, contract, guarantee
	Subject string `json:"subject"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// String returns the finding in one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%-8s %-9s %s: %s", f.Level, f.Area, f.Subject, f.Message)
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text
}

// Findings are all that the doctor says.
type Findings []Finding

// Worst is Broken if anything is, else Warning if anything is, else Fine.
func (f Findings) Worst() Level {
	worst := Fine
	for _, one := range f {
		switch one.Level {
		case Broken:
			return Broken
		case Warning:
			worst = Warning
		}
	}
	return worst
}

// Options say what to examine.
type Options struct {
	File        string
	Environment string
	Against     string // another environment; empty: none
	Data        string
	Running     bool // the system is up: its ports are in use, by itself
}

// Examine looks at everything. An error means that it could not even begin.
func Examine(ctx context.Context, opts Options) (Findings, error) {
	sys, err := system.Load(opts.File, opts.Environment)
	if err != nil {
		return nil, err
	}
	out := machine(ctx, opts.Data)
	out = append(out, ports(ctx, opts.Running, sys)...)
	out = append(out, reachable(ctx, sys)...)
	out = append(out, contracts(ctx, sys)...)
	if opts.Against == "" {
		return out, nil
	}
	other, err := system.Load(opts.File, opts.Against)
	if err != nil {
		return nil, err
	}
	return append(out, compare(sys, other)...), nil
}

// What a machine should have at least.
const (
	wantFiles = 4096    // descriptors a process may open
	wantDisk  = 1 << 30 // free bytes for the data folder
)

func machine(ctx context.Context, data string) Findings {
	out := Findings{{Fine, "machine", "processor", fmt.Sprintf("%d cores, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH), ""}}
	if version, err := exec.CommandContext(ctx, "go", "env", "GOVERSION").Output(); err != nil {
		out = append(out, Finding{Broken, "machine", "go", "the go command is not there: " + err.Error(), "install Go; services are built by warren up"})
	} else {
		out = append(out, Finding{Fine, "machine", "go", strings.TrimSpace(string(version)), ""})
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		f := Finding{Fine, "machine", "open files", fmt.Sprintf("%d per process", files.Max), ""}
		if files.Max < wantFiles {
			f.Level, f.Remedy = Warning, fmt.Sprintf("raise the limit to %d or more (ulimit -n)", wantFiles)
		}
		out = append(out, f)
	}
	return append(out, disk(data))
}

func disk(data string) Finding {
	dir, err := filepath.Abs(data)
	for err == nil && dir != filepath.Dir(dir) {
		if _, statErr := os.Stat(dir); statErr == nil {
			break
		}
		dir = filepath.Dir(dir) // the folder is made later, in one that exists
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return Finding{Warning, "machine", "disk", fmt.Sprintf("free space in %s is unknown: %v", dir, err), ""}
	}
	free := fs.Bavail * uint64(fs.Bsize)
	f := Finding{Fine, "machine", "disk", fmt.Sprintf("%.1f GiB free in %s", float64(free)/(1<<30), dir), ""}
	if free < wantDisk {
		f.Level, f.Remedy = Warning, "free some: when it is full the registry goes read-only"
	}
	return f
}

// ports looks whether the system can listen, unless it runs already.
func ports(ctx context.Context, running bool, sys *system.System) Findings {
	if running {
		return Findings{{Fine, "machine", "ports", "the system runs already", ""}}
	}
	out := Findings{port(ctx, "gateway", sys.Gateway.Address)}
	for _, s := range sys.Services {
		if s.Address != "" {
			out = append(out, port(ctx, s.Name, s.Address))
		}
	}
	return out
}

func port(ctx context.Context, who, address string) Finding {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return Finding{Broken, "machine", who, err.Error(), "stop what uses the port, or write another address into the system file"}
	}
	_ = l.Close()
	return Finding{Fine, "machine", who, address + " is free", ""}
}

// contracts lints what is below the folders named api beside the services.
func contracts(ctx context.Context, sys *system.System) Findings {
	roots := protogen.Roots(sys.Dir)
	if len(roots) == 0 {
		return Findings{{
			Warning, "contract", "contracts", "no folder named api in " + sys.Dir,
			"put contracts there, or lint them by hand with: warren lint FOLDER",
		}}
	}
	report, err := lint.Lint(ctx, roots...)
	if err != nil {
		return Findings{{Broken, "contract", "contracts", err.Error(), ""}}
	}
	var out Findings
	for _, p := range report.Problems {
		out = append(out, Finding{Broken, "contract", fmt.Sprintf("%s:%d", p.File, p.Line), p.Message, p.Remedy})
	}
	if out == nil {
		out = Findings{{Fine, "contract", "contracts", fmt.Sprintf("%d methods in %d files", report.Methods, report.Files), ""}}
	}
	return out
}
