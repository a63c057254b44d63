// Package hop measures one call inside one process, client and server
// together, on the word of the program that started it: so that rounds of
// several contestants can take turns, each in a process of its own.
package hop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/gowarren/warren/bench/api/bench/catalog/v1"
	"github.com/gowarren/warren/bench/internal/catalog"
)

// Order asks for one round. Callers call one after the other, each in a loop.
type Order struct {
	Callers  int
	Duration time.Duration
	Profile  string // path of a CPU profile to write; empty: none
}

// Result is what a round found. Latencies are of single calls.
type Result struct {
	Calls    int
	Elapsed  time.Duration
	CPU      time.Duration // of the whole process
	Mallocs  uint64
	Bytes    uint64
	P50, P99 time.Duration
	Error    string `json:",omitempty"`
}

// Serve checks that the client answers right and says so with an empty result,
// then takes orders from standard input until that ends. It reports on the
// first file inherited: frameworks like to log on standard output.
func Serve(client catalogv1.CatalogServiceClient) error {
	if err := check(client); err != nil {
		return err
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.NewFile(3, "results"))
	if err := out.Encode(Result{}); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for in.Scan() {
		var order Order
		if err := json.Unmarshal(in.Bytes(), &order); err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		if err := out.Encode(run(client, order)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return in.Err()
}

// check compares one answer with what it must be, and waits for a server that
// has just begun to listen.
func check(client catalogv1.CatalogServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := &catalogv1.GetProductRequest{Id: catalog.ID(7)}
	want, err := catalog.New().GetProduct(ctx, request)
	if err != nil {
		return err
	}
	for {
		got, err := client.GetProduct(ctx, request)
		if err == nil && !proto.Equal(got, want) {
			return fmt.Errorf("check the answer: got %v, want %v", got, want)
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("check the answer: %w", err)
		}
	}
}

func run(client catalogv1.CatalogServiceClient, order Order) Result {
	stop, err := profile(order.Profile)
	if err != nil {
		return Result{Error: err.Error()}
	}
	defer stop()
	runtime.GC() // what the round before left is not this one's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	latencies, err := call(client, order)
	r := Result{Calls: len(latencies), Elapsed: time.Since(start), CPU: cpuTime() - cpu}
	runtime.ReadMemStats(&after)
	r.Mallocs, r.Bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	if err != nil {
		r.Error = err.Error()
	}
	slices.Sort(latencies)
	if n := len(latencies); n > 0 {
		r.P50, r.P99 = latencies[n/2], latencies[n*99/100]
	}
	return r
}

func call(client catalogv1.CatalogServiceClient, order Order) ([]time.Duration, error) {
	var (
		all   []time.Duration
		first error
		mu    sync.Mutex
		done  sync.WaitGroup
	)
	end := time.Now().Add(order.Duration)
	for n := range order.Callers {
		done.Go(func() {
			mine, err := loop(client, n, end)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			if first == nil {
				first = err
			}
		})
	}
	done.Wait()
	return all, first
}

func loop(client catalogv1.CatalogServiceClient, n int, end time.Time) ([]time.Duration, error) {
	latencies := make([]time.Duration, 0, 1<<13)
	request := &catalogv1.GetProductRequest{Id: catalog.ID(n)}
	for {
		start := time.Now()
		if start.After(end) {
			return latencies, nil
		}
		if _, err := client.GetProduct(context.Background(), request); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(start))
	}
}

// profile begins a CPU profile; stop ends it.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("write profile: %w", err), file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}, nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
