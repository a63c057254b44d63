package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gowarren/warren/shop/payment/internal/cardsim"
)

// provider is who charges cards. A charge is named by its top-up: made twice it
// is one.
type provider interface {
	Tokenize(ctx context.Context, card cardsim.Card) (token string, err error)
	Charge(ctx context.Context, charge, token string, units int64, currency string) (cardsim.Result, error)
	Find(ctx context.Context, charge string) (cardsim.Result, error)
}

const (
	claimed = 16              // how many top-ups are charged side by side
	look    = 2 * time.Second // how often, at least, is looked for what is due
)

// charger brings pending top-ups to their end.
type charger struct {
	ledger   *ledger
	provider provider
	settings *settings
	log      *slog.Logger
	now      func() time.Time
	woken    chan struct{}
}

func newCharger(l *ledger, p provider, s *settings, log *slog.Logger, now func() time.Time) *charger {
	return &charger{ledger: l, provider: p, settings: s, log: log, now: now, woken: make(chan struct{}, 1)}
}

// wake has the worker look at once.
func (c *charger) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// work charges what is due until ctx ends.
func (c *charger) work(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := c.round(ctx)
		if err == nil && n < claimed {
			err = c.rest(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// rest waits until there may be something to do.
func (c *charger) rest(ctx context.Context) error {
	at, there, err := c.ledger.due(ctx)
	if err != nil {
		return err
	}
	wait := look
	if there {
		// Other instances may be at it: not more often than a few times per second.
		wait = min(max(at.Sub(c.now()), 20*time.Millisecond), look)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.woken:
	case <-ctx.Done():
	}
	return nil
}

// round charges the top-ups that are due now and returns how many they were.
func (c *charger) round(ctx context.Context) (int, error) {
	// Twice as long as the provider may take, so that nobody else asks meanwhile.
	due, err := c.ledger.claim(ctx, c.now(), 2*c.settings.patience.Get()+time.Second, claimed)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	for _, t := range due {
		all.Go(func() { c.charge(ctx, t) })
	}
	all.Wait()
	return len(due), nil
}

// charge asks the provider for the money, or what became of it if it was asked
// before, and notes the answer. Whatever goes wrong is tried again later.
func (c *charger) charge(ctx context.Context, t topUp) {
	result, err := c.ask(ctx, t)
	switch {
	case err == nil && result.Status != cardsim.Processing:
		err = c.ledger.settle(ctx, t.id, verdict{result.Status == cardsim.Approved, result.Reason}, c.now())
	case err != nil && ctx.Err() == nil:
		c.log.WarnContext(ctx, "outcome of a charge is unknown; it is asked again", "top_up", t.id, "attempts", t.attempts, "error", err)
	}
	if err == nil && result.Status != cardsim.Processing {
		return
	}
	until := c.now().Add(pause(t.attempts-1, c.settings.firstPause.Get(), c.settings.mostPause.Get()))
	if err := c.ledger.postpone(ctx, t.id, until); err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "top-up waits until its lease ends", "top_up", t.id, "error", err)
	}
}

func (c *charger) ask(ctx context.Context, t topUp) (cardsim.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.settings.patience.Get())
	defer cancel()
	if t.attempts > 1 {
		result, err := c.provider.Find(ctx, t.id)
		if !errors.Is(err, cardsim.ErrNoCharge) {
			return result, err
		}
	}
	return c.provider.Charge(ctx, t.id, t.token, t.amount.units, t.amount.currency)
}

// reported asks the provider about a charge of which it has told something.
func (c *charger) reported(ctx context.Context, id string) error {
	result, err := c.provider.Find(ctx, id)
	if errors.Is(err, cardsim.ErrNoCharge) {
		return errNoTopUp()
	}
	if err != nil || result.Status == cardsim.Processing {
		return err
	}
	return c.ledger.settle(ctx, id, verdict{result.Status == cardsim.Approved, result.Reason}, c.now())
}
