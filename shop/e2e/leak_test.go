package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNothingLeaks sends 10,000 requests, many of which their clients abort at
// a random moment, and wants every process back where it was.
func TestNothingLeaks(t *testing.T) {
	s := up(t)
	abuse(t, s.url, 1000) // what is opened once and kept is opened now
	settle := func() map[string]usage {
		http.DefaultClient.CloseIdleConnections()
		return s.usage()
	}
	var before map[string]usage
	last := map[string]usage{}
	until(t, 30*time.Second, "the processes to be at rest", func() bool {
		before = settle()
		rest := near(before, last, 2)
		last = before
		return rest
	})
	abuse(t, s.url, 10_000)
	var after map[string]usage
	defer func() {
		for id := range before {
			t.Logf("%s: before %+v, after %+v", id, before[id], after[id])
		}
	}()
	until(t, 30*time.Second, "goroutines and files to return to where they were", func() bool {
		after = settle()
		return near(after, before, 10)
	})
	for id, u := range after {
		if limit := 2*before[id].heap + 32<<20; u.heap > limit {
			t.Errorf("%s: heap %d, want less than %d", id, u.heap, limit)
		}
	}
}

// usage is what a process holds.
type usage struct{ goroutines, files, heap int }

// near tells whether no process holds more than slack above the other state.
func near(a, b map[string]usage, slack int) bool {
	for id, u := range a {
		other, ok := b[id]
		if !ok || u.goroutines > other.goroutines+slack || u.files > other.files+slack {
			return false
		}
	}
	return true
}

// abuse sends n requests; every other one is aborted after up to 5 ms.
func abuse(t *testing.T, url string, n int) {
	t.Helper()
	const clients = 16
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range n / clients {
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), rand.N(5*time.Millisecond))
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+reads[i%len(reads)], nil)
				if err != nil {
					cancel()
					continue
				}
				resp, err := client.Do(req)
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// usage reads every process's own metrics.
func (s *system) usage() map[string]usage {
	s.t.Helper()
	out := map[string]usage{}
	for _, i := range s.list().GetInstances() {
		resp, err := http.Get("http://" + i.GetAdmin() + "/metrics")
		if err != nil {
			s.t.Fatal(err)
		}
		values := metrics(resp.Body)
		resp.Body.Close()
		out[i.GetId()] = usage{values["go_goroutines"], values["process_open_fds"], values["go_memstats_heap_inuse_bytes"]}
	}
	return out
}

// metrics reads the values of metrics without labels.
func metrics(r io.Reader) map[string]int {
	out := map[string]int{}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if f, err := strconv.ParseFloat(value, 64); ok && err == nil && !strings.HasPrefix(name, "#") {
			out[name] = int(f)
		}
	}
	return out
}

func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d MiB", u.goroutines, u.files, u.heap>>20)
}
