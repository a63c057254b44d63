package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/config/driver"
)

// Options say where a process takes its settings from. The zero value is a
// process with nothing but contracts and defaults.
type Options struct {
	// Environment names the document in the centre; "local" when empty.
	Environment string
	// Service is the deployed name of this process's service. Its definitions
	// are published under it; without it none are.
	Service string
	// File is what the system file says.
	File FileLayer
	// Driver reaches the centre; nil is no centre. The caller closes it, after
	// closing the Settings.
	Driver driver.Driver
	// Snapshot is the file that keeps the last good document for a start
	// without the centre; empty is none.
	Snapshot string
	// Definitions are known before the first Watch: the file layer is checked
	// against them, and they are published.
	Definitions []Definition
	// Applied is told each revision that came into force, in order; nil is
	// nobody. It must not wait.
	Applied func(revision int64)
	// Logger is told of outages and of values refused; slog.Default when nil.
	Logger *slog.Logger
	// Metrics gets warren_config_revision, warren_config_stale and
	// warren_config_refused_total; nil is none.
	Metrics prometheus.Registerer
}

// Settings are the values in force in a process. They are safe for concurrent use.
type Settings struct {
	options Options
	logger  *slog.Logger
	metrics *metrics

	mu          sync.Mutex
	layers      layers
	revision    int64
	document    []byte // the last good one, as it was delivered
	definitions map[string]Definition
	watches     map[watchKey]watched
	mistakes    map[string]error // of program and file, by setting
	publishing  error            // why this service's definitions are not published

	follow *follower // nil without a centre
}

// Entry is a value with where it applies and where it comes from.
type Entry struct {
	Name  string `json:"name"`
	Scope Scope  `json:"scope,omitzero"`
	Value string `json:"value"`
	// Source is the layer: default, contract, file or centre.
	Source string `json:"source,omitempty"`
	// Position is the place in the system file.
	Position string `json:"position,omitempty"`
	// Revision is the centre's revision that the value was read at.
	Revision int64 `json:"revision,omitempty"`
	Secret   bool  `json:"secret,omitempty"`
	// Problem tells why a value from a higher layer is not in force.
	Problem string `json:"problem,omitempty"`
}

func (e Entry) redact() Entry {
	if e.Secret {
		e.Value = Secret(e.Value).String()
	}
	return e
}

// layers are the sources above the contract's.
type layers struct {
	file, centre index
}

type watchKey struct {
	name     string
	scope    Scope
	contract string
}

// New starts following the settings of an environment. It doesn't wait for the
// centre; Ready does. Its errors are mistakes in the file or the definitions.
func New(options Options) (*Settings, error) {
	options.Environment = cmp.Or(options.Environment, "local")
	s := &Settings{
		options:     options,
		logger:      cmp.Or(options.Logger, slog.Default()),
		layers:      layers{file: options.File.index()},
		definitions: make(map[string]Definition),
		watches:     make(map[watchKey]watched),
		mistakes:    make(map[string]error),
	}
	if err := checkEnvironment(options.Environment); err != nil {
		return nil, err
	}
	if options.Service != "" {
		if err := checkService(options.Service); err != nil {
			return nil, err
		}
	}
	for _, d := range options.Definitions {
		if err := s.define(d); err != nil {
			return nil, err
		}
	}
	if err := options.File.checkKnown(options.Definitions); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	var err error
	if s.metrics, err = newMetrics(options.Metrics, s); err != nil {
		return nil, err
	}
	if options.Driver != nil {
		s.follow = newFollower(s)
		s.follow.start()
	}
	return s, nil
}

// Close stops following. Values stay as they are.
func (s *Settings) Close() {
	if s.follow != nil {
		s.follow.close()
	}
}

// Ready waits until the values are those of the centre or, with the centre
// away, those of the snapshot, and until this service's definitions were offered
// to the centre if it is there. It returns what Err returns.
func (s *Settings) Ready(ctx context.Context) error {
	if s.follow != nil {
		if err := s.follow.ready(ctx); err != nil {
			return err
		}
	}
	return s.Err()
}

// Err returns the mistakes found so far that a person must correct: a setting
// with two types, a default or a file value out of range. Values in the centre
// are not among them: they are in InForce.
func (s *Settings) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, name := range sortedKeys(s.mistakes) {
		errs = append(errs, s.mistakes[name])
	}
	if conflict := (*definitionConflict)(nil); errors.As(s.publishing, &conflict) {
		errs = append(errs, s.publishing)
	}
	return errors.Join(errs...)
}

// InForce lists every watched value, by name and scope, without secrets.
func (s *Settings) InForce() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Entry, 0, len(s.watches))
	for _, w := range s.watches {
		out = append(out, w.entry(s.revision))
	}
	sortEntries(out)
	return out
}

// Revision returns the centre's revision that this process runs; 0 is none.
func (s *Settings) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision
}

// Stale tells that the centre is away, or what it says is refused: the values
// may be older than the centre's.
func (s *Settings) Stale() bool { return s.follow != nil && s.follow.stale.Load() }

// Definitions returns the definitions known in this process, by name.
func (s *Settings) Definitions() []Definition {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Definition, 0, len(s.definitions))
	for _, name := range sortedKeys(s.definitions) {
		out = append(out, s.definitions[name])
	}
	return out
}

// watch adds w, or returns the one that is there for the same key.
func (s *Settings) watch(w watched, key watchKey) watched {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.define(w.definition()); err != nil {
		s.mistake(key.name, err)
		w.resolve(layers{})
		return w
	}
	if known, ok := s.watches[key]; ok {
		return known
	}
	w.prepare(s.options.Service)
	s.report(key.name, w.resolve(s.layers))
	s.watches[key] = w
	return w
}

// define notes a definition; one name has one definition in a process.
func (s *Settings) define(d Definition) error {
	known, ok := s.definitions[d.Name]
	if !ok {
		if err := d.valid(); err != nil {
			return err
		}
		s.definitions[d.Name] = d
		if s.follow != nil {
			s.follow.wake()
		}
		return nil
	}
	if known.Type != d.Type || known.Secret != d.Secret {
		return fmt.Errorf("watch setting %s as %s: it is declared as %s elsewhere in this process; rename one of them",
			d.Name, d.kind(), known.kind())
	}
	return nil
}

func (s *Settings) inForce() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.document
}

// apply puts a document of the centre in force.
func (s *Settings) apply(d document, data []byte) {
	s.mu.Lock()
	s.layers.centre = d.index()
	s.revision = d.Revision
	s.document = data
	changed := make([]watched, 0, len(s.watches))
	for key, w := range s.watches {
		s.report(key.name, w.resolve(s.layers))
		changed = append(changed, w)
	}
	s.mu.Unlock()
	for _, w := range changed {
		w.notify()
	}
	if s.options.Applied != nil {
		s.options.Applied(d.Revision)
	}
}

// report logs and counts values that were refused. Those of the file and the
// contract are mistakes that stay until the process is started anew.
func (s *Settings) report(name string, refused []refusal) {
	for _, r := range refused {
		s.metrics.refuse("value")
		s.logger.Error("a value of a setting is refused", "setting", name, "error", r.err)
		if !r.centre {
			s.mistakes[name] = r.err
		}
	}
}

func (s *Settings) mistake(name string, err error) {
	if known := s.mistakes[name]; known == nil || known.Error() != err.Error() {
		s.logger.Error("a setting is declared wrongly", "setting", name, "error", err)
	}
	s.mistakes[name] = err
}

// disagreed notes how publishing the definitions ended. While the centre is away
// nothing else is to be expected.
func (s *Settings) disagreed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.Stale() && (s.publishing == nil || s.publishing.Error() != err.Error()) {
		s.logger.Error("the definitions of this service's settings are not published", "error", err)
	}
	s.publishing = err
}

func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareScopes(a.Scope, b.Scope), cmp.Compare(a.Value, b.Value))
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
