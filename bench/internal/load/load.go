// Package load is a closed loop of HTTP clients: each of its connections sends
// a request, waits for the answer, and sends the next. It speaks just enough
// HTTP to leave the machine to those who are measured.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gowarren/warren/bench/internal/catalog"
)

// Order says what to send and for how long.
type Order struct {
	Address     string // host:port
	Path        string // the id of a product is appended
	Token       string // bearer token; empty: none
	Connections int
	Warm        time.Duration // not measured
	Duration    time.Duration
}

// Result is what came of it. All counts every request, also those of the
// warm-up; the rest is of the time measured.
type Result struct {
	All      int
	Requests int
	Elapsed  time.Duration
	P50, P99 time.Duration
}

// Run sends requests until the time is over. Any answer but 200 ends it: a
// contestant that refuses work would be measured at refusing.
func Run(ctx context.Context, o Order) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	requests := prepare(o)
	begin := time.Now().Add(o.Warm)
	end := begin.Add(o.Duration)
	var (
		warming atomic.Int64
		mu      sync.Mutex
		all     []time.Duration
		done    sync.WaitGroup
	)
	for n := range o.Connections {
		done.Go(func() {
			c := &client{requests: requests, next: n, begin: begin, end: end}
			if err := c.run(ctx, o.Address); err != nil {
				cancel(err)
			}
			warming.Add(int64(c.warming))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c.latencies...)
		})
	}
	done.Wait()
	elapsed := time.Since(begin)
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	if len(all) == 0 {
		return Result{}, errors.New("load: nothing was answered")
	}
	slices.Sort(all)
	return Result{
		All: len(all) + int(warming.Load()), Requests: len(all), Elapsed: elapsed,
		P50: all[len(all)/2], P99: all[len(all)*99/100],
	}, nil
}

// prepare writes all requests that will be sent.
func prepare(o Order) [][]byte {
	requests := make([][]byte, catalog.Size)
	for n := range requests {
		var b bytes.Buffer
		fmt.Fprintf(&b, "GET %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: application/json\r\n", o.Path, catalog.ID(n), o.Address)
		if o.Token != "" {
			fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", o.Token)
		}
		b.WriteString("\r\n")
		requests[n] = b.Bytes()
	}
	return requests
}

// client is one connection.
type client struct {
	requests   [][]byte
	next       int
	begin, end time.Time
	warming    int
	latencies  []time.Duration
}

func (c *client) run(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	answers := bufio.NewReaderSize(conn, 8<<10)
	c.latencies = make([]time.Duration, 0, 1<<13)
	for {
		start := time.Now()
		if start.After(c.end) {
			return nil
		}
		if _, err := conn.Write(c.requests[c.next%len(c.requests)]); err != nil {
			return fmt.Errorf("load: send request: %w", err)
		}
		c.next += 7 // connections begin at different products and stay apart
		if err := skipAnswer(answers); err != nil {
			return fmt.Errorf("load: read answer: %w", err)
		}
		if start.Before(c.begin) {
			c.warming++
		} else {
			c.latencies = append(c.latencies, time.Since(start))
		}
	}
}

// skipAnswer reads one answer, which must be 200.
func skipAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		rest, _ := r.Peek(min(r.Buffered(), 2000)) // the reason is worth more than the connection
		return fmt.Errorf("the answer is %q: %s", strings.TrimSpace(string(line)), rest)
	}
	length, chunked := -1, false
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		if !found {
			break
		}
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(bytes.TrimSpace(value)))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
		}
		if err != nil {
			return err
		}
	}
	if chunked {
		return skipChunks(r)
	}
	if length < 0 {
		return errors.New("the answer has no length")
	}
	_, err = r.Discard(length)
	return err
}

func skipChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 31)
		if err != nil {
			return fmt.Errorf("read size of chunk: %w", err)
		}
		if _, err := io.CopyN(io.Discard, r, int64(size)+2); err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
	}
}
