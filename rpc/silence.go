package rpc

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// A process that is stopped, or whose machine is gone, keeps its connections
// and answers nothing. gRPC notices after rpc.keepalive and some seconds, when
// the calls that it got have long run out of time. So a call that waits for an
// instance of which nothing is heard asks it for a sign of life. An instance
// that gives none is ejected, and what may be sent twice goes elsewhere. One
// that is merely slow is left to finish.

// A stream may wait for its first message for hours: with each sign of life it
// asks less often. One that has spoken is left to gRPC: what it said can't be
// taken back, and a pause is no reason to cut it.

// watcher looks after one attempt. A nil watcher looks after none.
type watcher struct {
	timer    *time.Timer
	method   *method
	in       *instance
	silence  time.Duration
	patience time.Duration // with silence; grows to most
	most     time.Duration
	started  int64

	mu     sync.Mutex
	cancel context.CancelFunc // of the attempt's context
	again  bool               // the attempt may be given up for another
	asked  int64              // when a sign of life was asked for; 0: it was not
	over   bool
	gaveUp bool
}

// streamPatience is how much longer than a silence a stream comes to wait
// between two questions.
const streamPatience = 8

// leastSilence is what is never too long for an instance that is busy, or far away: a
// caller in a hurry must not have it ejected. A call with less time ends soon anyway.
const leastSilence = 50 * time.Millisecond

// watch begins to look after a call's attempt and returns the context to make
// it with. The watcher is nil where silence would change nothing.
func (k *clientCall) watch(ctx context.Context, in *instance, start int64) (*watcher, context.Context) {
	if len(k.method.target.view.Load().usable) < 2 {
		return nil, ctx
	}
	again := !k.repeated && k.method.idempotent() && k.attempts+1 < k.policy.attempts
	return k.method.watch(ctx, &watcher{silence: k.policy.silence, in: in, started: start, again: again})
}

// watchStream is watch for an attempt of a stream, until its first message.
// There may be other instances by then.
func (m *method) watchStream(ctx context.Context, silence time.Duration, in *instance, start int64, again bool) (*watcher, context.Context) {
	return m.watch(ctx, &watcher{silence: silence, most: streamPatience * silence, in: in, started: start, again: again})
}

func (m *method) watch(ctx context.Context, w *watcher) (*watcher, context.Context) {
	if at, ok := ctx.Deadline(); ok { // another instance needs its time too
		quarter := time.Until(at) / 4
		if quarter < leastSilence {
			return nil, ctx
		}
		w.silence = min(w.silence, quarter)
	}
	if w.silence <= 0 {
		return nil, ctx
	}
	w.method, w.patience = m, w.silence
	if w.again {
		ctx, w.cancel = context.WithCancel(ctx)
	}
	w.mu.Lock() // until the timer is set
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.silence, w.look)
	return w, ctx
}

// stop ends the watch, and reports whether the attempt was given up.
func (w *watcher) stop() bool {
	if w == nil {
		return false
	}
	w.timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	return w.gaveUp
}

// done is stop for an attempt that is over.
func (w *watcher) done() bool {
	if w == nil {
		return false
	}
	gaveUp := w.stop()
	if w.cancel != nil {
		w.cancel()
	}
	return gaveUp
}

// silent reports whether the attempt was given up.
func (w *watcher) silent() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gaveUp
}

// look is called when the attempt has waited for the length of a silence.
func (w *watcher) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	now := w.in.pool.client.now()
	heard := max(w.in.stats.heard.Load(), w.started)
	switch quiet := time.Duration(now - heard); {
	case quiet < w.patience:
		if w.asked != 0 {
			w.asked = 0
			w.patience = max(w.patience, min(2*w.patience, w.most))
		}
		w.timer.Reset(w.patience - quiet)
	case w.asked == 0 || heard > w.asked:
		w.asked = now
		w.in.ask(2 * w.silence)
		w.timer.Reset(w.silence)
	case !w.method.target.hasBeside(w.in):
		w.asked = 0
		w.timer.Reset(w.patience)
	default:
		w.giveUp(now)
	}
}

// hasBeside reports whether there is somebody to call beside the instance.
func (t *target) hasBeside(in *instance) bool {
	return slices.ContainsFunc(t.view.Load().usable, func(other *instance) bool { return other != in })
}

// giveUp takes the instance for dead.
func (w *watcher) giveUp(now int64) {
	t := w.method.target
	w.in.pool.eject(w.in, t.policy.Load().outlier, now)
	if !w.again {
		return
	}
	if !t.budget.take() {
		w.method.metrics.retried(retryRefused)
		return
	}
	w.gaveUp = true
	w.cancel()
}

// ask asks the instance for a sign of life, unless somebody is doing so. Any
// answer is one, also that of a server without health checks.
func (in *instance) ask(patience time.Duration) {
	if !in.stats.asking.CompareAndSwap(false, true) {
		return
	}
	if !in.retain() {
		in.stats.asking.Store(false)
		return
	}
	go func() {
		defer in.release()
		defer in.stats.asking.Store(false)
		ctx, cancel := context.WithTimeout(in.pool.ctx, patience)
		defer cancel()
		err := in.conn.Invoke(ctx, grpc_health_v1.Health_Check_FullMethodName, &grpc_health_v1.HealthCheckRequest{}, &grpc_health_v1.HealthCheckResponse{})
		in.heard(err, in.pool.client.now())
	}()
}

// heard notes that an instance has answered, if it was the instance that did.
func (in *instance) heard(err error, now int64) {
	switch status.Code(err) {
	case codes.DeadlineExceeded, codes.Canceled, codes.Unavailable:
	default:
		in.stats.heard.Store(now)
	}
}

// errSilent is how an attempt ends that was given up.
func errSilent() error {
	return &Error{Code: codes.Unavailable, Reason: "NO_ANSWER", Domain: domain, Message: "the instance does not answer"}
}
