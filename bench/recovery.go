package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gowarren/warren/bench/internal/branch"
	"github.com/gowarren/warren/bench/internal/sagas"
)

// hung measures whether sagas whose participants never answer are in the way of
// the others.
func (s *stage) hung(ctx context.Context, p plan) (string, error) {
	const stuck, callers = 30, 16
	var b strings.Builder
	b.WriteString("| | sagas/s before | p99 ms before | sagas/s beside 30 hung | p99 ms beside 30 hung | hung calls at the end |\n|---|---|---|---|---|---|")
	for _, k := range kinds {
		if !s.wanted(k.name) || strings.Contains(k.name, "at once") {
			continue
		}
		c, err := s.crew(ctx, k)
		if err != nil {
			return "", err
		}
		order := sagas.Order{Clients: callers, Warm: p.warm / 2, Duration: p.duration}
		before, err := c.measure(order)
		if err != nil {
			return "", err
		}
		if _, err := c.run(sagas.Order{Kind: sagas.Hung, Clients: stuck, Count: stuck}); err != nil {
			return "", err
		}
		if _, err := c.until(ctx, 5*time.Second, func(r branch.Report) bool { return r.Hanging == stuck }); err != nil {
			return "", fmt.Errorf("%s: wait for calls to hang: %w", c.name, err)
		}
		beside, err := c.measure(order)
		if err != nil {
			return "", err
		}
		r, err := c.report(branch.Order{})
		if err != nil {
			return "", err
		}
		c.stop()
		row := fmt.Sprintf("| %s | %.0f | %.1f | %.0f | %.1f | %d |", c.name, before.rate, before.p99, beside.rate, beside.p99, r.Hanging)
		fmt.Fprintln(os.Stderr, row)
		b.WriteString("\n" + row)
	}
	b.WriteString("\n")
	return b.String(), nil
}

// until asks for reports until one is as wanted. Time that is over is an error.
func (c *crew) until(ctx context.Context, patience time.Duration, good func(branch.Report) bool) (branch.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		r, err := c.report(branch.Order{Prefix: fmt.Sprintf("%s-%d-", c.folder, c.rounds)})
		if err != nil || good(r) {
			return r, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// recovery measures what becomes of sagas whose participants were out of order
// and are healed: by a coordinator that lives, and by one that is killed at that
// moment and started again.
func (s *stage) recovery(ctx context.Context, p plan) (string, error) {
	count, patience := 1000, 20*time.Second
	if p.quick {
		count, patience = 200, 15*time.Second
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %d unfinished sagas; their participants are healed | first call after | half of them done after | all done after | done within %s | per second, first to last | called twice |\n|---|---|---|---|---|---|---|", count, patience)
	for _, kill := range []bool{false, true} {
		for _, k := range kinds {
			if !s.wanted(k.name) || strings.Contains(k.name, "at once") {
				continue
			}
			row, err := s.recover(ctx, k, kill, count, patience)
			if err != nil {
				return "", err
			}
			fmt.Fprintln(os.Stderr, row)
			b.WriteString("\n" + row)
		}
	}
	b.WriteString("\n")
	return b.String(), nil
}

func (s *stage) recover(ctx context.Context, k kind, kill bool, count int, patience time.Duration) (string, error) {
	c, err := s.crew(ctx, k)
	if err != nil {
		return "", err
	}
	defer c.stop()
	broken, healed := true, false
	if _, err := c.report(branch.Order{Fail: &broken}); err != nil {
		return "", err
	}
	if _, err := c.run(sagas.Order{Kind: sagas.Submitted, Clients: 16, Count: count}); err != nil {
		return "", err
	}
	start := time.Now()
	if kill {
		c.coordinator.stop() // kill -9
	}
	if _, err := c.report(branch.Order{Fail: &healed, Mark: true}); err != nil {
		return "", err
	}
	if kill {
		if err := c.again(ctx); err != nil {
			return "", err
		}
	}
	var half time.Time
	r, err := c.until(ctx, patience, func(r branch.Report) bool {
		if half.IsZero() && 2*r.Done() >= count {
			half = time.Now()
		}
		return r.Done() == count
	})
	if err != nil && r.Last.IsZero() && r.First.IsZero() {
		r.First = start.Add(patience)
	}
	name := k.name
	if kill {
		name += ", killed and started again"
	}
	return recovered(name, r, start, half, count), nil
}

func recovered(name string, r branch.Report, start, half time.Time, count int) string {
	after := func(t time.Time, known bool) string {
		if !known {
			return "–"
		}
		return fmt.Sprintf("%.2f s", t.Sub(start).Seconds())
	}
	rate := "–"
	const few = 10 // say nothing of a rate
	if r.Done() > few && r.Last.After(r.First) {
		rate = fmt.Sprintf("%.0f", float64(r.Done())/r.Last.Sub(r.First).Seconds())
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %s | %d |", name, after(r.First, r.Done() > 0), after(half, !half.IsZero()),
		after(r.Last, r.Done() == count), r.Done(), rate, r.Repeated)
}
