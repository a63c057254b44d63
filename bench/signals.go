package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// signals measures what metrics, access log and traces at 1 % cost together: the
// same gateway and service with all of them and with none, in turns.
func (s *stage) signals(ctx context.Context, p plan) ([]section, error) {
	defer s.stop()
	t := table{name: "signals", unit: "request", processes: true}
	var pairs []*pair
	for _, c := range []struct{ name, traces string }{{"no signals at all", ""}, {"metrics, access log, traces at 1 %", s.traces.address}} {
		pair, err := s.signalsPair(ctx, c.traces)
		if err != nil {
			return nil, fmt.Errorf("measure signals: %w", err)
		}
		pair.name = c.name
		pairs = append(pairs, pair)
	}
	for round := range p.rounds {
		for i := range pairs {
			c := pairs[(i+round)%len(pairs)]
			m, err := s.measurePair(ctx, p, c)
			if err != nil {
				return nil, fmt.Errorf("measure signals: %s: %w", c.name, err)
			}
			t.add(c.name, m)
			fmt.Fprintf(os.Stderr, "round %d/%d: %-40s %s\n", round+1, p.rounds, c.name, m)
		}
	}
	t = t.ordered(names(pairs))
	return []section{tell(section{"signals", t.markdown()}), tell(section{"about-signals", s.about(p) + "\n"})}, nil
}

func (s *stage) signalsPair(ctx context.Context, traces string) (*pair, error) {
	var at [4]string
	for i := range at {
		var err error
		if at[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	p := &pair{address: at[1], path: "/v1/products/"}
	var err error
	if p.service, err = s.start("signals", at[2], "service", "--address", at[0], "--probe", at[2], "--traces", traces); err != nil {
		return nil, err
	}
	if err := listening(ctx, at[0]); err != nil {
		return nil, fmt.Errorf("wait for the service: %w\n%s", err, p.service.stderr.text)
	}
	if p.front, err = s.start("signals", at[3], "gateway", "--address", at[1], "--service", at[0], "--probe", at[3], "--traces", traces); err != nil {
		return nil, err
	}
	// The gateway learns the contract from the service first.
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := p.check(ctx)
		if err == nil {
			return p, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("check the answers: %w\n%s", err, p.front.stderr.text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
