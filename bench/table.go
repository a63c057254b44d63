package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// sample is what one contestant did in one round; times are in microseconds,
// memory is in MiB.
type sample struct {
	rate, cpu, mallocs, bytes float64
	p50, p99                  float64
	resident                  float64
}

func (m sample) String() string {
	return fmt.Sprintf("%7.0f/s  %6.1f µs CPU  %5.0f allocations  p50 %5.2f ms  p99 %6.2f ms", m.rate, m.cpu, m.mallocs, m.p50/1000, m.p99/1000)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// table is the samples of all contestants, in rounds.
type table struct {
	name      string // of its place in the document
	unit      string // "request", "call"
	processes bool   // measured in two processes each: memory is told
	order     []string
	samples   map[string][]sample
}

func (t *table) add(name string, m sample) {
	if t.samples == nil {
		t.samples = map[string][]sample{}
	}
	t.samples[name] = append(t.samples[name], m)
}

func (t table) ordered(names []string) table {
	t.order = names
	return t
}

// median is the median over the rounds.
func (t table) median(name string, of func(sample) float64) float64 {
	var all []float64
	for _, m := range t.samples[name] {
		all = append(all, of(m))
	}
	return median(all)
}

// ratio is the median of what each round says beside the first contestant in
// the same round: what the whole machine did in that round cancels out.
func (t table) ratio(name string, of func(sample) float64) float64 {
	var all []float64
	for i, m := range t.samples[name] {
		all = append(all, of(m)/of(t.samples[t.order[0]][i]))
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func rate(m sample) float64 { return m.rate }
func cpu(m sample) float64  { return m.cpu }

// markdown prints the table with the ratios first: they are what travels from
// one machine to another.
func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | CPU, ratio | throughput, ratio | CPU µs per %s | %ss/s | allocations | bytes allocated | p50 ms | p99 ms |", t.unit, t.unit)
	if t.processes {
		b.WriteString(" resident MB |")
	}
	b.WriteString("\n|---|---|---|---|---|---|---|---|---|")
	if t.processes {
		b.WriteString("---|")
	}
	for _, name := range t.order {
		fmt.Fprintf(&b, "\n| %s | %.2f | %.2f | %.0f | %.0f | %.0f | %.0f | %.2f | %.1f |", name,
			t.ratio(name, cpu), t.ratio(name, rate), t.median(name, cpu), t.median(name, rate),
			t.median(name, func(m sample) float64 { return m.mallocs }),
			t.median(name, func(m sample) float64 { return m.bytes }),
			t.median(name, func(m sample) float64 { return m.p50 / 1000 }),
			t.median(name, func(m sample) float64 { return m.p99 / 1000 }))
		if t.processes {
			fmt.Fprintf(&b, " %.0f |", t.median(name, func(m sample) float64 { return m.resident }))
		}
	}
	b.WriteString("\n")
	return b.String()
}

// about says under which conditions the tables came to be.
func (s *stage) about(p plan) string {
	about := fmt.Sprintf("Taken on %s; %s; %d rounds of %s each, %d connections or callers. Other processes used %.0f %% of the machine (median over all measurements; worst %.0f %%).",
		time.Now().UTC().Format("2 January 2006"), machine(), p.rounds, p.duration, p.connections, 100*median(s.others), 100*slices.Max(s.others))
	if median(s.others) > quiet {
		about += " **That is not a quiet machine: this is a rehearsal, and no row is worth more than its first digit.**"
	}
	return about
}

// quiet is the share of the machine that others may use before the figures say
// more of them than of the contestants.
const quiet = 0.05

// section is what one place of the document says.
type section struct{ name, text string }

// write replaces what stands between the markers of each section.
func write(path string, sections []section) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	for _, s := range sections {
		if err == nil {
			text, err = replace(text, s.name, s.text)
		}
	}
	if err != nil {
		return fmt.Errorf("write results to %s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}

func replace(text []byte, name, content string) ([]byte, error) {
	begin, end := fmt.Sprintf("<!-- bench:%s -->\n", name), fmt.Sprintf("<!-- /bench:%s -->", name)
	from := bytes.Index(text, []byte(begin))
	to := bytes.Index(text, []byte(end))
	if from < 0 || to < from {
		return nil, fmt.Errorf("there is no place marked %s", strings.TrimSpace(begin))
	}
	return slices.Concat(text[:from+len(begin)], []byte(content), text[to:]), nil
}
