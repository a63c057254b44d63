package alerting

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// Kinds of receivers.
const (
	KindWebhook      = "webhook"
	KindEmail        = "email"
	KindAlertmanager = "alertmanager"
)

// Receiver is somebody who is told.
type Receiver struct {
	Name, Kind string
	Severities []string
	// Repeat is after which time one that goes on is told again. 4 h; an
	// Alertmanager, which forgets, is told every minute.
	Repeat time.Duration
	send   sender
}

// sender takes a message to its place. It may get one message several times,
// then with the same id.
type sender interface {
	send(ctx context.Context, m message) error
}

// message is what a receiver is told at once.
type message struct {
	id, system, receiver string
	firing, resolved     []metricstore.Alert
}

// Delivery is one attempt to tell a receiver.
type Delivery struct {
	Time     time.Time `json:"time"`
	Receiver string    `json:"receiver"`
	Kind     string    `json:"kind"`
	ID       string    `json:"id"`
	Attempt  int       `json:"attempt"`
	Alerts   []string  `json:"alerts"`
	Resolved bool      `json:"resolved,omitempty"` // all of them
	Err      string    `json:"error,omitempty"`
}

const (
	repeatAfter  = 4 * time.Hour
	forwardAfter = time.Minute
	// sendTimeout is how long one attempt may take.
	sendTimeout = 15 * time.Second
	// lastMoment is for how long the end waits for an attempt.
	lastMoment = 2 * time.Second
	// together is for how long alerts are awaited that come from one cause.
	together = time.Second
)

func (r Receiver) repeat() time.Duration {
	switch {
	case r.Repeat > 0:
		return r.Repeat
	case r.Kind == KindAlertmanager:
		return forwardAfter
	}
	return repeatAfter
}

// tell brings a receiver up to date, again and again: what it knows is compared
// with what fires. So nothing is queued, nothing is told twice, and after an
// outage it hears what is, not what was.
func (e *Engine) tell(ctx context.Context, r Receiver) {
	attempt, last := 0, ""
	for ctx.Err() == nil {
		e.mu.Lock()
		m, changed := e.news(r, time.Now()), e.changed
		e.mu.Unlock()
		if len(m.firing)+len(m.resolved) == 0 {
			if attempt, last = 0, ""; !waitFor(ctx, changed, 0) {
				return
			}
			waitFor(ctx, nil, min(together, e.opts.RetryMin))
			continue
		}
		if m.id != last {
			attempt, last = 0, m.id
		}
		attempt++
		if e.deliver(ctx, r, m, attempt) {
			attempt = 0
			continue
		}
		waitFor(ctx, nil, e.pause(attempt))
	}
}

// waitFor returns after a change, or a time if one is given; false when ctx ended.
func waitFor(ctx context.Context, changed <-chan struct{}, d time.Duration) bool {
	var timer <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-changed:
	case <-timer:
	case <-ctx.Done():
		return false
	}
	return true
}

func (e *Engine) pause(attempt int) time.Duration {
	const most = 16 // beyond that the doubling would overflow
	return min(e.opts.RetryMin<<min(attempt-1, most), e.opts.RetryMax)
}

// news is what a receiver does not know yet. What everybody knows to have ended
// is forgotten.
func (e *Engine) news(r Receiver, now time.Time) message {
	m := message{system: e.opts.Name, receiver: r.Name}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(e.active)) {
		f := e.active[id]
		over := !f.Alert.Resolved.IsZero()
		t, knows := f.Told[r.Name]
		wanted := slices.Contains(r.Severities, f.Alert.Labels[severityLabel])
		switch {
		case over && (!wanted || !knows || t.Resolved):
			continue
		case over:
			m.resolved = append(m.resolved, f.Alert)
		case !wanted || e.silences.of(f.Alert.Labels) != "":
			continue
		case !knows || t.Resolved || !t.Fired.Equal(f.Alert.Fired) || now.Sub(t.At) >= r.repeat():
			m.firing = append(m.firing, f.Alert)
		default:
			continue
		}
		ids = append(ids, fmt.Sprint(id, f.Alert.Fired.UnixNano(), over, t.At.UnixNano()))
	}
	e.forget()
	sum := sha256.Sum256([]byte(r.Name + strings.Join(ids, "\n")))
	m.id = hex.EncodeToString(sum[:8])
	return m
}

// forget drops alerts that have ended and that nobody is still to be told of.
func (e *Engine) forget() {
	maps.DeleteFunc(e.active, func(_ string, f *firing) bool {
		if f.Alert.Resolved.IsZero() {
			return false
		}
		return !slices.ContainsFunc(e.config.Receivers, func(r Receiver) bool {
			t, knows := f.Told[r.Name]
			return knows && !t.Resolved && slices.Contains(r.Severities, f.Alert.Labels[severityLabel])
		})
	})
}

// deliver makes one attempt and writes it down.
func (e *Engine) deliver(ctx context.Context, r Receiver, m message, attempt int) bool {
	// One that is under way when all ends has a moment: cut off, it would be made again
	// after the next start, though the receiver may have heard of it.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastMoment, cancel) })()
	err := r.send.send(limited, m)
	if ctx.Err() != nil && err != nil {
		return false // it is told after the next start
	}
	d := Delivery{Time: time.Now().UTC(), Receiver: r.Name, Kind: r.Kind, ID: m.id, Attempt: attempt, Alerts: names(m), Resolved: len(m.firing) == 0}
	outcome := "delivered"
	if err != nil {
		d.Err, outcome = err.Error(), "failed"
		e.log.Warn("alerts not delivered; it is tried again", "receiver", r.Name, "attempt", attempt, "alerts", d.Alerts, "error", err)
	} else {
		e.log.Info("alerts delivered", "receiver", r.Name, "alerts", d.Alerts, "resolved", d.Resolved)
	}
	e.metrics.deliveries.WithLabelValues(r.Name, r.Kind, outcome).Inc()
	if !e.known(r, m, err) { // a repetition to an Alertmanager is no news
		if failed := e.tries.add(d); failed != nil {
			e.log.Warn("log of deliveries not written", "error", failed)
		}
	}
	return err == nil
}

// known remembers that the receiver knows, and tells whether it knew before.
func (e *Engine) known(r Receiver, m message, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := r.Kind == KindAlertmanager && err == nil
	for _, a := range slices.Concat(m.firing, m.resolved) {
		f := e.active[fingerprint(a.Labels)]
		if f == nil {
			continue
		}
		t, knew := f.Told[r.Name]
		before = before && knew && t.Resolved == !a.Resolved.IsZero() && t.Fired.Equal(a.Fired)
		if err == nil {
			f.Told[r.Name] = told{Fired: a.Fired, Resolved: !a.Resolved.IsZero(), At: time.Now().UTC()}
		}
	}
	if err == nil {
		if failed := e.save(); failed != nil {
			e.log.Warn("alerts not written", "error", failed)
		}
	}
	return before
}

func names(m message) []string {
	var out []string
	for _, a := range slices.Concat(m.firing, m.resolved) {
		out = append(out, cmp.Or(a.Name, a.Labels["alertname"]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
