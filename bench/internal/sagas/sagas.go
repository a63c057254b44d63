// Package sagas is the clients of a coordinator: a closed loop of callers in a
// process of its own, the same for every contestant, each of whom submits a saga
// of two branches, waits for its end, and submits the next.
package sagas

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a saga is for.
type Kind string

// The kinds of sagas.
const (
	Waited    Kind = ""          // to its end
	Submitted Kind = "submitted" // the coordinator has it, and goes on by itself
	Hung      Kind = "hung"      // submitted, and its first branch never answers
)

// Run runs one saga.
type Run func(ctx context.Context, id string, kind Kind) error

// Order asks for one round: so many sagas, or as many as the duration allows.
type Order struct {
	Kind     Kind
	Prefix   string // of the ids of all sagas
	Clients  int
	Warm     time.Duration // not measured
	Duration time.Duration
	Count    int // instead of Duration
}

// Result is what came of it. All counts every saga, also those of the warm-up.
type Result struct {
	All      int
	Sagas    int
	Elapsed  time.Duration
	P50, P99 time.Duration
	Error    string `json:",omitempty"`
}

// Serve says with an empty result that it is there, takes orders from standard
// input until that ends, and reports on the first file inherited.
func Serve(run Run) error {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.NewFile(3, "results"))
	if err := out.Encode(Result{}); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for in.Scan() {
		var order Order
		if err := json.Unmarshal(in.Bytes(), &order); err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		if err := out.Encode(Measure(context.Background(), order, run)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return in.Err()
}

// Measure does one round. A saga that fails ends it: what is measured is sagas
// that take place.
func Measure(ctx context.Context, o Order, run Run) Result {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &round{order: o, run: run, begin: time.Now().Add(o.Warm)}
	r.end = r.begin.Add(o.Duration)
	var all sync.WaitGroup
	for range o.Clients {
		all.Go(func() {
			if err := r.client(ctx); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	result := Result{All: int(r.done.Load()), Sagas: len(r.took), Elapsed: time.Since(r.begin)}
	if err := context.Cause(ctx); err != nil {
		result.Error = err.Error()
	} else if len(r.took) == 0 {
		result.Error = errors.New("no saga ended").Error()
	} else {
		slices.Sort(r.took)
		result.P50, result.P99 = r.took[len(r.took)/2], r.took[len(r.took)*99/100]
	}
	return result
}

type round struct {
	order      Order
	run        Run
	begin, end time.Time
	next, done atomic.Int64

	mu   sync.Mutex
	took []time.Duration
}

func (r *round) client(ctx context.Context) error {
	var took []time.Duration
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.took = append(r.took, took...)
	}()
	for ctx.Err() == nil {
		n, start := r.next.Add(1), time.Now()
		if r.order.Count > 0 && n > int64(r.order.Count) || r.order.Count == 0 && start.After(r.end) {
			return nil
		}
		if err := r.run(ctx, fmt.Sprint(r.order.Prefix, n), r.order.Kind); err != nil {
			return err
		}
		r.done.Add(1)
		if !start.Before(r.begin) {
			took = append(took, time.Since(start))
		}
	}
	return nil
}
