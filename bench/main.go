// Command bench measures Warren beside its peers: the same work, in the same
// run, round by round in turns. It prints the tables and writes them into
// docs/performance.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds      int
	duration    time.Duration // of one contestant in one round
	warm        time.Duration // before it
	connections int
	quick       bool
}

// or fills in what the command line leaves open.
func (p plan) or(rounds int, duration time.Duration) plan {
	p.rounds, p.duration = cmp.Or(p.rounds, rounds), cmp.Or(p.duration, duration)
	return p
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	plan
	only, match, document, profiles string
}

// parts are what can be measured alone; nothing means everything.
var parts = []string{"", "hop", "rest", "txn", "sagas", "hung", "recovery", "barrier", "checkout", "events", "signals"}

func parse(args []string) (options, error) {
	o := options{plan: plan{warm: 500 * time.Millisecond}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 0, "how often everybody is measured (default 7; transactions 3)")
	flags.DurationVar(&o.duration, "duration", 0, "how long each is measured per round (default 3s; transactions 1.5s)")
	flags.IntVar(&o.connections, "connections", 64, "connections, and callers of the single hop")
	quick := flags.Bool("quick", false, "a short try, which writes nothing")
	flags.StringVar(&o.only, "only", "", "measure only hop, rest, or one of sagas, hung, recovery, barrier and checkout, and write nothing; or all of the latter as txn, events or signals, and write them")
	flags.StringVar(&o.match, "match", "", "measure only contestants whose name contains this, beside the first, and write nothing")
	flags.StringVar(&o.document, "write", "../docs/performance.md", "the document whose tables are replaced; empty: none")
	flags.StringVar(&o.profiles, "profile", "", "folder for CPU profiles of single hops and of Warren's processes, taken before the rounds")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.rounds, o.duration, o.warm = 1, 500*time.Millisecond, 200*time.Millisecond
	}
	o.quick = *quick
	if *quick || o.only != "" && o.only != "txn" && o.only != "events" && o.only != "signals" || o.match != "" {
		o.document = ""
	}
	if !slices.Contains(parts, o.only) {
		return o, fmt.Errorf("read flags: -only is one of%s, not %q", strings.Join(parts, " "), o.only)
	}
	if o.rounds < 0 || o.connections < 1 || o.duration < 0 {
		return o, errors.New("read flags: -rounds, -connections and -duration must be more than zero")
	}
	if o.profiles == "" {
		return o, nil
	}
	var err error
	o.profiles, err = filepath.Abs(o.profiles) // the contestants run in another folder
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s, err := open(ctx, o.only)
	if err != nil {
		return err
	}
	defer s.close()
	s.match, s.profiles = o.match, o.profiles
	var sections []section
	for _, part := range []struct {
		measure func(context.Context, plan) ([]section, error)
		names   []string
		plan    plan
	}{
		{s.calls, []string{"", "hop", "rest"}, o.plan.or(7, 3*time.Second)},
		{s.transactions, append([]string{"", "txn"}, parts[4:9]...), o.plan.or(3, 1500*time.Millisecond)},
		{s.events, []string{"", "events"}, o.plan.or(3, 0)},
		{s.signals, []string{"", "signals"}, o.plan.or(9, 2*time.Second)},
	} {
		if !slices.Contains(part.names, o.only) {
			continue
		}
		s.only = o.only
		found, err := part.measure(ctx, part.plan)
		if err != nil {
			return err
		}
		sections = append(sections, found...)
	}
	if o.document == "" {
		return nil
	}
	return write(o.document, sections)
}

// calls measures what a protected call costs.
func (s *stage) calls(ctx context.Context, p plan) ([]section, error) {
	var found []section
	for _, part := range []struct {
		name    string
		measure func(context.Context, plan) (table, error)
	}{{"hop", s.hops}, {"rest", s.rest}} {
		if s.only != "" && s.only != part.name {
			continue
		}
		t, err := part.measure(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", part.name, err)
		}
		found = append(found, tell(section{part.name, t.markdown()}))
	}
	return append(found, tell(section{"about", s.about(p) + "\n"})), nil
}

// tell prints what was found, so that nothing is lost if a later part fails.
func tell(s section) section {
	fmt.Printf("\n%s\n%s", s.name, s.text)
	return s
}
