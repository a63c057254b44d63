package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gowarren/warren/bench/internal/hop"
)

// hops measures one call, client and server in one process.
func (s *stage) hops(ctx context.Context, p plan) (table, error) {
	defer s.stop()
	t := table{name: "hop", unit: "call"}
	order, contestants, err := s.callers()
	if err != nil {
		return t, err
	}
	if err := s.profileHops(p, order, contestants); err != nil {
		return t, err
	}
	for round := range p.rounds {
		for i := range order {
			if err := ctx.Err(); err != nil {
				return t, err
			}
			name := order[(i+round)%len(order)]
			m, err := s.measureHop(p, contestants[name])
			if err != nil {
				return t, fmt.Errorf("%s: %w", name, err)
			}
			t.add(name, m)
			fmt.Fprintf(os.Stderr, "round %d/%d: %-40s %s\n", round+1, p.rounds, name, m)
		}
	}
	return t.ordered(order), nil
}

// callers starts the process of every contestant. The first is what the others
// are compared to.
func (s *stage) callers() (order []string, _ map[string]*process, _ error) {
	contestants := map[string]*process{}
	for _, c := range []struct{ name, program, address string }{
		{"grpc-go, nothing else", "plain", "127.0.0.1:0"},
		{"go-zero zrpc", "gozero", ""},
		{"Kratos grpc", "kratos", ""},
		{"Warren, by TCP", "warren-service", "127.0.0.1:0"},
		{"grpc-go, nothing else, by unix socket", "plain", "unix:" + filepath.Join(s.dir, "plain.sock")},
		{"Warren", "warren-service", "unix:" + filepath.Join(s.dir, "warren.sock")},
	} {
		if len(order) > 0 && !s.wanted(c.name) {
			continue
		}
		process, err := s.start(c.program, "", "hop", "--address", c.address, "--traces", s.traces.address)
		if err != nil {
			return nil, nil, err
		}
		var ready hop.Result
		if err := process.out.Decode(&ready); err != nil {
			return nil, nil, fmt.Errorf("%s: %w: %s", c.name, err, process.stderr.text)
		}
		contestants[c.name] = process
		order = append(order, c.name)
	}
	return order, contestants, nil
}

// profileHops takes a CPU profile of every contestant under load.
func (s *stage) profileHops(p plan, order []string, contestants map[string]*process) error {
	if s.profiles == "" {
		return nil
	}
	for _, name := range order {
		file := filepath.Join(s.profiles, fileName(name+" hop")+".pprof")
		if _, err := contestants[name].hop(hop.Order{Callers: p.connections, Duration: p.duration, Profile: file}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *stage) measureHop(p plan, of *process) (sample, error) {
	if _, err := of.hop(hop.Order{Callers: p.connections, Duration: p.warm}); err != nil {
		return sample{}, err
	}
	before, err := machineBusy()
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	r, err := of.hop(hop.Order{Callers: p.connections, Duration: p.duration})
	if err != nil {
		return sample{}, err
	}
	after, err := machineBusy()
	if err != nil {
		return sample{}, err
	}
	s.others = append(s.others, float64(after-before-r.CPU)/float64(time.Since(start))/float64(runtime.NumCPU()))
	n := float64(r.Calls)
	return sample{
		rate: n / r.Elapsed.Seconds(), cpu: micros(r.CPU) / n, mallocs: float64(r.Mallocs) / n, bytes: float64(r.Bytes) / n,
		p50: micros(r.P50), p99: micros(r.P99),
	}, nil
}

// hop has a round done in the process, which ends if it takes far too long.
func (p *process) hop(o hop.Order) (hop.Result, error) {
	var r hop.Result
	if err := p.ask(o, &r, o.Duration+30*time.Second); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("call: %s", r.Error)
	}
	return r, nil
}
