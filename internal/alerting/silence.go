package alerting

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Silence keeps alerts from being delivered for a time.
type Silence struct {
	ID       string    `json:"id"`
	Matchers []Matcher `json:"matchers"`
	Starts   time.Time `json:"starts"`
	Ends     time.Time `json:"ends"`
	Author   string    `json:"author"`
	Reason   string    `json:"reason"`
}

// Matcher selects alerts by a label; all of a silence must match.
type Matcher struct {
	Label    string `json:"label"`
	Value    string `json:"value"`
	Regex    bool   `json:"regex,omitempty"`
	Negative bool   `json:"negative,omitempty"`
}

// What is wrong with a silence.
var (
	ErrSilence   = errors.New("invalid silence")
	ErrNoSilence = errors.New("no such silence in force")
)

const (
	mostSilences = 1000
	// silencesKept is for how long one is shown after its end.
	silencesKept = 7 * 24 * time.Hour
	longest      = 90 * 24 * time.Hour
)

type silences struct {
	path string
	mu   sync.Mutex
	all  []Silence
}

func openSilences(path string, log *slog.Logger) (*silences, error) {
	s := &silences{path: path}
	return s, readJSON(path, &s.all, log)
}

// ParseMatcher reads label=value, label!=value, label=~regex or label!~regex.
func ParseMatcher(text string) (Matcher, error) {
	n := strings.IndexAny(text, "=!")
	if n <= 0 {
		return Matcher{}, fmt.Errorf("%w: %q is no matcher such as service=order or alertname=~Disk.*", ErrSilence, text)
	}
	m := Matcher{Label: text[:n]}
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if value, ok := strings.CutPrefix(text[n:], op); ok {
			m.Value, m.Regex, m.Negative = strings.Trim(value, `"`), strings.HasSuffix(op, "~"), op[0] == '!'
			return m, m.check()
		}
	}
	return Matcher{}, fmt.Errorf("%w: %q is no matcher such as service=order or alertname=~Disk.*", ErrSilence, text)
}

// String writes the matcher as ParseMatcher reads it.
func (m Matcher) String() string {
	op := map[[2]bool]string{{false, false}: "=", {true, false}: "=~", {false, true}: "!=", {true, true}: "!~"}[[2]bool{m.Regex, m.Negative}]
	return m.Label + op + m.Value
}

func (m Matcher) check() error {
	if m.Regex {
		if _, err := regexp.Compile(m.Value); err != nil {
			return fmt.Errorf("%w: %w", ErrSilence, err)
		}
	}
	if m.Label == "" {
		return fmt.Errorf("%w: a matcher has no label", ErrSilence)
	}
	return nil
}

func (m Matcher) matches(labels map[string]string) bool {
	value := labels[m.Label]
	hit := value == m.Value
	if m.Regex {
		form, err := regexp.Compile("^(?:" + m.Value + ")$")
		hit = err == nil && form.MatchString(value)
	}
	return hit != m.Negative
}

func (s Silence) covers(labels map[string]string, at time.Time) bool {
	return at.Before(s.Ends) && !slices.ContainsFunc(s.Matchers, func(m Matcher) bool { return !m.matches(labels) })
}

func (s *silences) add(one Silence, d time.Duration) (Silence, error) {
	if len(one.Matchers) == 0 || one.Reason == "" || d <= 0 || d > longest {
		return one, fmt.Errorf("%w: it needs matchers, a reason and a duration of at most 90 days", ErrSilence)
	}
	everything := true
	for _, m := range one.Matchers {
		if err := m.check(); err != nil {
			return one, err
		}
		everything = everything && m.matches(nil)
	}
	if everything {
		return one, fmt.Errorf("%w: it matches alerts that have none of its labels, which may be all", ErrSilence)
	}
	now := time.Now().UTC()
	one.ID, one.Starts, one.Ends = strings.ToLower(rand.Text()[:8]), now, now.Add(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(s.all), func(o Silence) bool { return now.Sub(o.Ends) > silencesKept })
	if len(next) >= mostSilences {
		return one, fmt.Errorf("%w: there are %d already", ErrSilence, len(next))
	}
	return one, s.become(append(next, one))
}

// become puts silences in force that are written down: one that is refused must
// not keep anything quiet.
func (s *silences) become(next []Silence) error {
	if err := writeJSON(s.path, next); err != nil {
		return err
	}
	s.all = next
	return nil
}

func (s *silences) end(id string) error {
	now := time.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.all, func(o Silence) bool { return o.ID == id && o.Ends.After(now) })
	if n < 0 {
		return fmt.Errorf("%w: %s", ErrNoSilence, id)
	}
	next := slices.Clone(s.all)
	next[n].Ends = now
	return s.become(next)
}

func (s *silences) list(ended bool) []Silence {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.DeleteFunc(slices.Clone(s.all), func(o Silence) bool { return !ended && !o.Ends.After(now) })
	slices.SortFunc(out, func(a, b Silence) int { return cmp.Or(a.Ends.Compare(b.Ends), strings.Compare(a.ID, b.ID)) })
	return out
}

// of returns the id of the silence that covers an alert, empty if none does.
func (s *silences) of(labels map[string]string) string {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if one.covers(labels, now) {
			return one.ID
		}
	}
	return ""
}
