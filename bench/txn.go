package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/bench/internal/sagas"
)

// transactions measures everything about distributed transactions.
func (s *stage) transactions(ctx context.Context, p plan) (found []section, err error) {
	defer s.stop()
	if s.postgres, err = s.openPostgres(ctx); err != nil {
		return nil, err
	}
	begin := time.Now()
	for _, part := range []struct {
		name    string
		measure func(context.Context, plan) (string, error)
	}{{"sagas", s.sagas}, {"hung", s.hung}, {"recovery", s.recovery}, {"barrier", s.barrier}, {"checkout", s.checkout}} {
		if s.only != "" && s.only != "txn" && s.only != part.name {
			continue
		}
		text, err := part.measure(ctx, p)
		if err != nil {
			return found, fmt.Errorf("measure %s: %w", part.name, err)
		}
		found = append(found, tell(section{part.name, text}))
	}
	return append(found, tell(section{"about-txn", s.aboutTransactions(p, time.Since(begin))})), nil
}

func (s *stage) aboutTransactions(p plan, took time.Duration) string {
	return fmt.Sprintf("Taken on %s; %s; %d rounds of %s each, %s in all.%s\n",
		time.Now().UTC().Format("2 January 2006"), machine(), p.rounds, p.duration, took.Round(time.Second), s.noise())
}

// clients are how many callers there are at once.
var clients = []int{1, 16, 64}

// saga is what one contestant did in one round.
type saga struct {
	rate     float64 // sagas per second
	cpu      float64 // of the coordinator, microseconds per saga
	p50, p99 float64 // milliseconds
}

// sagas measures how many sagas of two branches are carried through.
func (s *stage) sagas(ctx context.Context, p plan) (string, error) {
	crews, err := s.allCrews(ctx, "")
	if err != nil {
		return "", err
	}
	defer dismiss(crews)
	seen := map[string]map[int][]saga{}
	for _, n := range clients {
		for round := range p.rounds {
			if err := s.lookAround(ctx); err != nil {
				return "", err
			}
			for i := range crews {
				c := crews[(i+round)%len(crews)]
				m, err := c.measure(sagas.Order{Clients: n, Warm: p.warm / 2, Duration: p.duration})
				if err != nil {
					return "", err
				}
				if seen[c.name] == nil {
					seen[c.name] = map[int][]saga{}
				}
				seen[c.name][n] = append(seen[c.name][n], m)
				fmt.Fprintf(os.Stderr, "%d clients, round %d/%d: %-45s %6.0f sagas/s  p50 %6.2f ms  p99 %7.2f ms  %5.0f µs CPU\n", n, round+1, p.rounds, c.name, m.rate, m.p50, m.p99, m.cpu)
			}
		}
	}
	return sagaTable(crews, seen), nil
}

func (c *crew) measure(o sagas.Order) (saga, error) {
	before, _, err := c.coordinator.consumed()
	if err != nil {
		return saga{}, err
	}
	r, err := c.run(o)
	if err != nil {
		return saga{}, err
	}
	after, _, err := c.coordinator.consumed()
	return saga{
		rate: float64(r.Sagas) / r.Elapsed.Seconds(), cpu: micros(after-before) / float64(r.All),
		p50: micros(r.P50) / 1000, p99: micros(r.P99) / 1000,
	}, err
}

// sagaTable compares within each store, and within each round.
func sagaTable(crews []*crew, seen map[string]map[int][]saga) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, n := range clients {
		fmt.Fprintf(&b, " sagas/s, %d at once | ratio | p50 ms | p99 ms |", n)
	}
	b.WriteString(" CPU µs per saga |\n|---|" + strings.Repeat("---|", 4*len(clients)+1))
	for _, c := range crews {
		first := crews[slices.IndexFunc(crews, func(other *crew) bool { return other.store == c.store })]
		fmt.Fprintf(&b, "\n| %s |", c.name)
		for _, n := range clients {
			mine, theirs := seen[c.name][n], seen[first.name][n]
			var ratios []float64
			for i := range mine {
				ratios = append(ratios, mine[i].rate/theirs[i].rate)
			}
			fmt.Fprintf(&b, " %.0f | %.1f | %.1f | %.1f |", medianOf(mine, func(m saga) float64 { return m.rate }), median(ratios),
				medianOf(mine, func(m saga) float64 { return m.p50 }), medianOf(mine, func(m saga) float64 { return m.p99 }))
		}
		fmt.Fprintf(&b, " %.0f |", medianOf(seen[c.name][clients[len(clients)-1]], func(m saga) float64 { return m.cpu }))
	}
	b.WriteString("\n")
	return b.String()
}

func medianOf[T any](list []T, of func(T) float64) float64 {
	var all []float64
	for _, m := range list {
		all = append(all, of(m))
	}
	return median(all)
}

// allCrews starts one of every kind but those left out.
func (s *stage) allCrews(ctx context.Context, without string) ([]*crew, error) {
	var out []*crew
	for _, k := range kinds {
		if !s.wanted(k.name) || without != "" && strings.Contains(k.name, without) {
			continue
		}
		c, err := s.crew(ctx, k)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func dismiss(crews []*crew) {
	for _, c := range crews {
		c.stop()
	}
}

// lookAround finds out how busy the machine is while nobody is measured.
func (s *stage) lookAround(ctx context.Context) error {
	const look = 300 * time.Millisecond
	before, err := machineBusy()
	if err != nil {
		return err
	}
	start := time.Now()
	select {
	case <-time.After(look):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := machineBusy()
	s.idle = append(s.idle, float64(after-before)/float64(time.Since(start))/float64(runtime.NumCPU()))
	return err
}

// noise says how busy the machine was with other things.
func (s *stage) noise() string {
	if len(s.idle) == 0 {
		return ""
	}
	text := fmt.Sprintf(" Between the measurements %.0f %% of the machine was in use (median; worst %.0f %%).", 100*median(s.idle), 100*slices.Max(s.idle))
	if median(s.idle) > 2*quiet { // the contestants at rest use some of it
		text += " **That is not a quiet machine: this is a rehearsal, and no row is worth more than its first digit.**"
	}
	return text
}
