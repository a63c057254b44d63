package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a steady stream of mixed reads through the gateway.
type load struct {
	requests atomic.Int64
	mu       sync.Mutex
	failures []string
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// reads are what the load asks for. They are idempotent by contract.
var reads = []string{
	"/v1/products?page_size=5",
	"/v1/products/22423",
	"/v1/categories",
	"/v1/products:search?query=heart",
	"/.well-known/jwks.json",
	"/v1/products/22111",
}

// startLoad sends rate requests a second from a few clients until finish.
func startLoad(t *testing.T, url string, rate int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	const clients = 8
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: clients},
	}
	for c := range clients {
		l.done.Go(func() {
			ticker := time.NewTicker(time.Second * clients / time.Duration(rate))
			defer ticker.Stop()
			for i := c; ; i++ {
				select {
				case <-ticker.C:
					l.read(ctx, client, url+reads[i%len(reads)])
				case <-ctx.Done():
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		stop()
		l.done.Wait()
		client.CloseIdleConnections()
	})
	return l
}

func (l *load) read(ctx context.Context, client *http.Client, url string) {
	// What was begun is finished: the end of the load is no failure.
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, nil)
	if err != nil {
		l.fail(err.Error())
		return
	}
	l.requests.Add(1)
	resp, err := client.Do(req)
	if err != nil {
		l.fail(fmt.Sprintf("%s %s: %v", time.Now().Format(time.TimeOnly), url, err))
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		l.fail(fmt.Sprintf("%s %s: %d %v %s", time.Now().Format(time.TimeOnly), url, resp.StatusCode, err, body))
	}
}

func (l *load) fail(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, what)
}

// finish ends the load and wants no failure among at least so many requests.
func (l *load) finish(t *testing.T, least int64) {
	t.Helper()
	l.stop()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.requests.Load()
	t.Logf("%d requests, %d failed", n, len(l.failures))
	if n < least {
		t.Errorf("%d requests are no load, want at least %d", n, least)
	}
	for i, f := range l.failures {
		if i == 10 {
			t.Errorf("and %d more", len(l.failures)-i)
			break
		}
		t.Error(f)
	}
}
