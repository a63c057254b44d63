package main

import (
	"context"
	"time"
)

// cleanPeriod is how often what nobody can use any more is removed.
const cleanPeriod = 10 * time.Minute

// every returns work that does f at once and then once per period, until its
// context ends or f goes wrong.
func every(period time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			if err := f(ctx); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}
