// Command bench measures Warren beside its peers: the same work, in the same
// run, round by round in turns. It prints the tables and writes them into
// docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	rounds      int
	duration    time.Duration // of one contestant in one round
	warm        time.Duration // before it
	connections int
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

func parse(args []string) (options, error) {
	o := options{plan: plan{warm: 500 * time.Millisecond}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 7, "how often everybody is measured")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "how long each is measured per round")
	flags.IntVar(&o.connections, "connections", 64, "connections, and callers of the single hop")
	quick := flags.Bool("quick", false, "a short try, which writes nothing")
	flags.StringVar(&o.only, "only", "", "measure only hop or rest, and write nothing")
	flags.StringVar(&o.match, "match", "", "measure only contestants whose name contains this, beside the first, and write nothing")
	flags.StringVar(&o.document, "write", "../docs/performance.md", "the document whose tables are replaced; empty: none")
	flags.StringVar(&o.profiles, "profile", "", "folder for CPU profiles of single hops and of Warren's processes, taken before the rounds")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if *quick {
		o.rounds, o.duration, o.warm = 1, 500*time.Millisecond, 200*time.Millisecond
	}
	if *quick || o.only != "" || o.match != "" {
		o.document = ""
	}
	if o.only != "" && o.only != "hop" && o.only != "rest" {
		return o, fmt.Errorf("read flags: -only is hop or rest, not %q", o.only)
	}
	if o.rounds < 1 || o.connections < 1 || o.duration <= 0 {
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
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	s.match, s.profiles = o.match, o.profiles
	var tables []table
	for _, part := range []struct {
		name    string
		measure func(context.Context, plan) (table, error)
	}{{"hop", s.hops}, {"rest", s.rest}} {
		if o.only != "" && o.only != part.name {
			continue
		}
		t, err := part.measure(ctx, o.plan)
		if err != nil {
			return fmt.Errorf("measure %s: %w", part.name, err)
		}
		fmt.Printf("\n%s\n", t.markdown())
		tables = append(tables, t)
	}
	about := s.about(o.plan)
	fmt.Println(about)
	if o.document == "" {
		return nil
	}
	return write(o.document, about, tables)
}
