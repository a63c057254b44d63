package rpc

import (
	"sync/atomic"
	"time"
)

// token is one retry, in the unit in which budgets count.
const token = 1000

// budget bounds the retries and hedges towards one contract, so that they
// can't turn a small outage into a large one: a share of the calls, and a small
// reserve per second. What is not used can be saved up, for the moment when an
// instance dies with many calls in flight, to the share of one window's calls.
type budget struct {
	tokens atomic.Int64
	filled atomic.Int64 // when the reserve was last paid in
}

// deposit pays in for one call; window is the number of calls in the
// throttle's window.
func (b *budget) deposit(p *targetPolicy, window, now int64) {
	amount := int64(p.budget * token)
	filled := b.filled.Load()
	if age := now - filled; age > int64(100*time.Millisecond) && b.filled.CompareAndSwap(filled, now) {
		amount += int64(p.reserve * token * min(time.Duration(age).Seconds(), 1))
	}
	limit := int64(max(p.reserve*token, p.budget*token*float64(window)))
	for {
		tokens := b.tokens.Load()
		next := min(tokens+amount, max(limit, tokens))
		if next == tokens || b.tokens.CompareAndSwap(tokens, next) {
			return
		}
	}
}

// take reports whether one more attempt may be made.
func (b *budget) take() bool {
	for {
		tokens := b.tokens.Load()
		if tokens < token {
			return false
		}
		if b.tokens.CompareAndSwap(tokens, tokens-token) {
			return true
		}
	}
}
