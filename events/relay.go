package events

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/telemetry"
)

// relay carries the outbox to the broker, in bursts. A burst is begun when a
// transaction of this process was committed, when the broker was started again,
// and now and then because another process may have died before its burst.
//
// The order of a key holds whatever happens: everybody publishes the rows of a key
// in their order, and none before the one before it was accepted. So whoever
// publishes a row a second time (two relays with a lease that ran out, a row that
// was accepted and not noted) repeats a prefix of what was published, and the
// first copy of each event, the only one that counts, stands where it belongs.
func (p *place) relay(r *run) {
	defer p.farewell(r)
	var seen string
	for backoff := first; ; {
		var sent int
		at := p.driver.Incarnation()
		waiting, err := p.waiting(r.stopping)
		if err == nil && at != "" && (waiting || at != seen) {
			sent, err = p.burst(r)
		}
		switch {
		case r.stopping.Err() != nil:
			return
		case err == nil && at == "" && waiting:
			err = errAway
		case err == nil && at != "":
			seen = at
		}
		if err == nil {
			p.outage.over("relay" + p.suffix)
			backoff = first
			p.idle(r.stopping, p.limits.poll.Get())
			continue
		}
		if errors.Is(err, errHeld) {
			pause(r.stopping, heldPause) // its holder may have looked before our commit
			continue
		}
		if sent > 0 {
			backoff = first // it does get on
		}
		p.outage.began("relay"+p.suffix, err)
		pause(r.stopping, backoff)
		backoff = min(2*backoff, last)
	}
}

// farewell publishes what was committed last, if the broker is there: the next
// process that relays may be long in coming.
func (p *place) farewell(r *run) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(r.work, patience)
	defer cancel()
	if _, err := p.publishAll(ctx); !errors.Is(err, errHeld) {
		_ = p.release(context.WithoutCancel(ctx)) // if not, the lease ends by itself
	}
}

var (
	errAway = errors.New("the broker is away")
	errHeld = errors.New("another process relays")
)

const (
	heldPause = 20 * time.Millisecond
	// leaseTime is when others take a relay for dead: events wait as long when one
	// is killed. A batch that takes longer may be published twice.
	leaseTime = 5 * time.Second
)

// idle waits until it is woken, or for d.
func (p *place) idle(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.woken:
	case <-ctx.Done():
	}
}

// waiting tells whether the outbox has something to publish.
func (p *place) waiting(ctx context.Context) (bool, error) {
	var n int
	err := p.db.QueryRow(ctx, `SELECT COUNT(*) FROM (SELECT seq FROM warren_outbox WHERE state = 0 LIMIT 1) w`).Scan(&n)
	return n > 0, err
}

// burst publishes until nothing waits, and leaves the lease to others.
func (p *place) burst(r *run) (sent int, err error) {
	sent, err = p.publishAll(r.stopping)
	if errors.Is(err, errHeld) {
		return sent, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.stopping), p.limits.timeout.Get())
	defer cancel()
	return sent, errors.Join(err, p.release(ctx))
}

func (p *place) publishAll(ctx context.Context) (sent int, err error) {
	var incarnation string
	var leased time.Time
	for ctx.Err() == nil {
		if incarnation != p.driver.Incarnation() || time.Since(leased) > leaseTime/3 {
			leased = time.Now()
			if incarnation, err = p.lease(ctx); err != nil {
				return sent, err
			}
		}
		rows, err := p.unsent(ctx, p.limits.batch.Get())
		if err != nil || len(rows) == 0 {
			return sent, err
		}
		taken, refused, problem := p.flush(ctx, rows)
		if incarnation != p.driver.Incarnation() {
			// Who accepted these may have lost them. They stay as they are, and the
			// next lease looks at those before them.
			taken = nil
		}
		if err := errors.Join(problem, p.note(ctx, taken, refused)); err != nil {
			return sent + len(taken), err
		}
		sent += len(taken) + len(refused)
	}
	return sent, ctx.Err()
}

// flush hands rows to the broker. It returns those that it accepted, those that
// it never will, and why it did not get any of the rest.
func (p *place) flush(ctx context.Context, rows []outgoing) (taken []int64, refused []refusal, err error) {
	blocked := map[orderKey]bool{}
	for len(rows) > 0 && err == nil {
		var wave, rest []outgoing
		if p.can.OrderedBatch {
			wave = rows
		} else {
			wave, rest = split(rows, blocked)
		}
		wave, broken := readable(wave)
		refused = append(refused, broken...)
		errs := p.publishBatch(ctx, wave)
		for i, problem := range errs {
			row := wave[i]
			switch {
			case problem == nil:
				taken = append(taken, row.seq)
				p.metrics.published(row.message.Topic, "")
			case errors.Is(problem, driver.ErrRefused):
				refused = append(refused, refusal{row, problem.Error()})
				p.metrics.published(row.message.Topic, "refused")
			default:
				blocked[row.order()] = true
				err = problem
			}
		}
		rows = rest
	}
	return taken, refused, err
}

func (b *Bus) publishBatch(ctx context.Context, wave []outgoing) []error {
	if len(wave) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.limits.timeout.Get())
	defer cancel()
	began := time.Now()
	spans := b.relaySpans(wave)
	batch := make([]driver.Message, len(wave))
	for i, row := range wave {
		batch[i] = row.message
	}
	errs := b.driver.Publish(ctx, batch)
	problem := ""
	for _, err := range errs {
		if err != nil {
			problem = "incomplete"
		}
	}
	b.metrics.flushed(began, problem)
	for i, span := range spans {
		span.SetError(errs[i])
		span.End()
	}
	return errs
}

// relaySpans begins a span for each event whose trace is recorded. For the others
// there is none, however long the broker takes: the outbox's age tells that.
func (b *Bus) relaySpans(wave []outgoing) map[int]*telemetry.Span {
	var spans map[int]*telemetry.Span
	for i, row := range wave {
		headers := row.message.Headers
		if parent := headers["traceparent"]; len(parent) != 55 || parent[54]&1 == 0 { // the bit of its last digit
			continue
		}
		ctx := b.opts.Tracer.Extract(context.Background(), func(k string) string { return headers[k] })
		_, span := b.opts.Tracer.Start(ctx, "relay "+row.message.Topic, trace.SpanKindClient)
		if !span.Recording() {
			continue
		}
		span.SetAttr(attribute.String("messaging.system", b.can.System), attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.operation.name", "relay"), attribute.String("messaging.destination.name", row.message.Topic),
			attribute.String("messaging.message.id", row.message.ID), attribute.Int("messaging.batch.message_count", len(wave)))
		if spans == nil {
			spans = map[int]*telemetry.Span{}
		}
		spans[i] = span
	}
	return spans
}

// orderKey is what keeps an order.
type orderKey struct{ topic, key string }

// split takes the first row of each key, and all that have none. Rows behind a
// key that is blocked are left alone.
func split(rows []outgoing, blocked map[orderKey]bool) (wave, rest []outgoing) {
	used := map[orderKey]bool{}
	for _, row := range rows {
		key := row.order()
		switch {
		case key.key == "":
			wave = append(wave, row)
		case blocked[key]:
		case used[key]:
			rest = append(rest, row)
		default:
			used[key] = true
			wave = append(wave, row)
		}
	}
	return wave, rest
}

// readable leaves out rows whose headers can't be read: one of them must not stop
// the others.
func readable(rows []outgoing) (out []outgoing, broken []refusal) {
	for _, row := range rows {
		if row.broken != nil {
			broken = append(broken, refusal{row, row.broken.Error()})
			continue
		}
		out = append(out, row)
	}
	return out, broken
}
