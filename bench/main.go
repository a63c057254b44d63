// Command bench measures Warren beside its peers: the same work, in the same
// run, round by round in turns. It prints the tables and writes them into
// docs/performance.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
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

func run(ctx context.Context, args []string) error {
	p := plan{warm: 500 * time.Millisecond}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&p.rounds, "rounds", 7, "how often everybody is measured")
	flags.DurationVar(&p.duration, "duration", 3*time.Second, "how long each is measured per round")
	flags.IntVar(&p.connections, "connections", 64, "connections, and callers of the single hop")
	quick := flags.Bool("quick", false, "a short try: prints, and writes nothing")
	only := flags.String("only", "", "measure only hop or rest, and write nothing")
	match := flags.String("match", "", "measure only contestants whose name contains this, beside the first, and write nothing")
	document := flags.String("write", "../docs/performance.md", "the document whose tables are replaced; empty: none")
	profiles := flags.String("profile", "", "folder for a CPU profile of each of Warren's processes, taken in a round of its own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *quick {
		p.rounds, p.duration, p.warm = 1, 500*time.Millisecond, 200*time.Millisecond
	}
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	s.match, s.profiles = *match, *profiles
	var tables []table
	if *only != "rest" {
		t, err := s.hops(ctx, p)
		if err != nil {
			return fmt.Errorf("measure one hop: %w", err)
		}
		fmt.Printf("\n%s\n", t.markdown())
		tables = append(tables, t)
	}
	if *only != "hop" {
		t, err := s.rest(ctx, p)
		if err != nil {
			return fmt.Errorf("measure the way through the gateway: %w", err)
		}
		fmt.Printf("\n%s\n", t.markdown())
		tables = append(tables, t)
	}
	about := s.about(p)
	fmt.Printf("%s\n", about)
	if *quick || *only != "" || *match != "" || *document == "" {
		return nil
	}
	return write(*document, about, tables)
}
