package warren_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gowarren/warren"

// laws is the architecture as a table: what must hold, and why.
var laws = []struct {
	rule   string
	reason string
	broken func(*house) []string
}{
	{
		"a service of the shop is one folder that is a package main; every folder in it is internal",
		"what nobody can import, nobody can depend on: services meet in their contracts only",
		servicesAreMains,
	},
	{
		"the shop imports, of the shop, only shop/api, and nothing of Warren's internal packages",
		"the shop is a user of Warren; what it needs, every user can have",
		shopUsesPublicThings,
	},
	{
		"portable packages import no driver, and a driver imports no other driver",
		"an engine is chosen by URL in the program's main, never by a library",
		portableKnowsNoDriver,
	},
	{
		"only internal/node, which every process of Warren is, commands, tests and warrentest name drivers",
		"one list says what is linked",
		driversAreNamedOnce,
	},
	{
		"internal packages import one another only along the arrows of the table",
		"arrows one way: a part can be understood, tested and replaced alone",
		internalArrows,
	},
	{
		"only internal/metricstore imports Prometheus' server code",
		"it promises no stable interface: what it changes is changed in one place",
		prometheusHasOneUser,
	},
	{
		"no service links what looks at the system: metrics, alerts, traces, logs, the console",
		"a service is small, and its users compile no cloud SDK",
		servicesLinkNoObservers,
	},
	{
		"no package is called util, common, helpers, types, base or misc",
		"a name that says nothing collects everything",
		packagesHaveNames,
	},
	{
		"every package has exactly one package comment",
		"the first sentence of a package is where its reader starts",
		packagesAreExplained,
	},
	{
		"every driver runs its conformance suite",
		"a driver is what passes the suite",
		driversConform,
	},
	{
		"no init functions, and package variables are never assigned to",
		"state belongs to values that a caller makes and can make twice",
		noHiddenState,
	},
	{
		"Must functions are called in tests, mains and package variables only",
		"a library returns its errors",
		mustOnlyAtStart,
	},
	{
		"no test sleeps by the real clock, or skips",
		"a sleep is a race that mostly wins, a skip is a failure that nobody reads",
		testsNeitherSleepNorSkip,
	},
	{
		`no error says "failed to" or "could not"`,
		"an error names the operation and the noun; that it failed is known",
		errorsNameTheOperation,
	},
}

// drivers lists for each portable package its drivers' conformance suite.
var drivers = map[string]string{
	"registry": "registry/registrytest",
	"config":   "config/configtest",
	"events":   "events/eventstest",
	"lock":     "lock/locktest",
}

// portable packages hold the logic that all engines share.
var portable = []string{"rpc", "registry", "config", "store", "cache", "auth", "telemetry", "events", "idempotency", "lock", "page", "store/shards", "txn", "txn/barrier"}

// internalImports lists which internal package may import which others.
var internalImports = map[string][]string{
	"internal/alerting":    {"internal/metricstore", "internal/wholefile"},
	"internal/console":     {"internal/audit", "internal/spelled", "internal/flame", "internal/tracediff", "internal/wholefile"},
	"internal/control":     {"internal/audit", "internal/contract", "internal/reflected", "internal/sample"},
	"internal/coordinator": {"internal/contract"},
	"internal/doctor":      {"internal/lint", "internal/openurl", "internal/protogen", "internal/system"},
	"internal/edge":        {"internal/gateway", "internal/node"},
	"internal/etcdurl":     {"internal/openurl"},
	"internal/experiment":  {"internal/spelled", "internal/fault", "internal/wholefile"},
	"internal/export":      {"internal/alerting", "internal/metricstore"},
	"internal/gateway":     {"internal/contract", "internal/limit", "internal/openapi", "internal/redact", "internal/reflected", "internal/requests", "internal/transcode", "internal/wholefile"},
	"internal/lint":        {"internal/contract", "internal/protogen"},
	"internal/node":        {"internal/admin", "internal/openurl", "internal/system"},
	"internal/openapi":     {"internal/contract", "internal/transcode"},
	"internal/profiling":   {"internal/wholefile"},
	"internal/protogen":    {"internal/contract"},
	"internal/signals":     {"internal/redact"},
	"internal/sample":      {"internal/contract"},
	"internal/scaffold":    {"internal/protogen", "internal/system"},
	"internal/supervisor":  {"internal/admin", "internal/alerting", "internal/audit", "internal/console", "internal/control", "internal/engines", "internal/experiment", "internal/metricstore", "internal/fleet", "internal/node", "internal/openurl", "internal/profiling", "internal/signals", "internal/system"},
	"internal/system":      {"internal/openurl"},
	"internal/transcode":   {"internal/contract"},
}

func TestArchitecture(t *testing.T) {
	h := readHouse(t)
	for _, law := range laws {
		t.Run(strings.ReplaceAll(law.rule, " ", "_"), func(t *testing.T) {
			for _, b := range law.broken(h) {
				t.Errorf("%s\n\trule: %s\n\tbecause: %s", b, law.rule, law.reason)
			}
		})
	}
}

// house is the source of the module, parsed once.
type house struct {
	fset     *token.FileSet
	packages map[string]*pkg // by folder, "." for the root
}

type pkg struct {
	dir   string
	files []*file
}

type file struct {
	path      string
	test      bool
	generated bool
	ast       *ast.File
}

func readHouse(t *testing.T) *house {
	t.Helper()
	h := &house{fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(p, d.Name())
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		return h.add(filepath.ToSlash(p))
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// skipFolder leaves out what is no code of this module.
func skipFolder(p, name string) error {
	if p == "." {
		return nil
	}
	_, err := os.Stat(filepath.Join(p, "go.mod"))
	if err == nil || name == "testdata" || strings.HasPrefix(name, ".") {
		return fs.SkipDir
	}
	return nil
}

func (h *house) add(p string) error {
	parsed, err := parser.ParseFile(h.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(p)
	if h.packages[dir] == nil {
		h.packages[dir] = &pkg{dir: dir}
	}
	h.packages[dir].files = append(h.packages[dir].files, &file{
		path: p, ast: parsed,
		test:      strings.HasSuffix(p, "_test.go"),
		generated: ast.IsGenerated(parsed),
	})
	return nil
}

// sorted lists the packages by folder, so that findings keep their order.
func (h *house) sorted() []*pkg {
	var out []*pkg
	for _, p := range h.packages {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *pkg) int { return strings.Compare(a.dir, b.dir) })
	return out
}

// imports lists the folders of this module that the file imports.
func (f *file) imports() []string {
	var out []string
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if name == module {
			out = append(out, ".")
		} else if rest, ok := strings.CutPrefix(name, module+"/"); ok {
			out = append(out, rest)
		}
	}
	return out
}

func within(dir, parent string) bool {
	return dir == parent || strings.HasPrefix(dir, parent+"/")
}

// isDriver tells whether the folder holds a driver, e.g. registry/etcdregistry.
func isDriver(dir string) bool {
	parent, name := path.Split(dir)
	parent = strings.TrimSuffix(parent, "/")
	_, family := drivers[parent]
	return family && name != parent && strings.HasSuffix(name, parent)
}
