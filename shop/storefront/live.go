package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
)

const (
	// watchTime is how long one watch lasts; browsers begin another by themselves.
	watchTime = 5 * time.Minute
	// writeTime is how long a visitor may take to accept an event.
	writeTime = 15 * time.Second
	// maxEvent is more than an order ever has.
	maxEvent = 1 << 20
)

// orderLive follows an order: each change is an event that holds the part of
// the page that changed, as the server would have written it.
func (v *visit) orderLive() error {
	ctx, cancel := context.WithTimeout(v.ctx, watchTime)
	defer cancel()
	go func() { // a process that ends lets its watchers go elsewhere
		select {
		case <-v.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	token, err := v.tokens.access(ctx, v.session)
	if err != nil {
		v.noStream(err)
		return nil
	}
	resp, err := v.api.send(ctx, call{path: v.orderPath(":watch"), token: token}, "application/x-ndjson")
	if err != nil {
		v.noStream(err)
		return nil
	}
	defer resp.Body.Close()
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("X-Accel-Buffering", "no") // proxies in between must not wait for the end
	control := http.NewResponseController(v.w)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 8<<10), maxEvent)
	for lines.Scan() {
		done, err := v.tell(control, lines.Bytes())
		if err != nil {
			return nil // the visitor left, or comes again
		}
		if done {
			return nil
		}
	}
	return nil // the browser comes again
}

// tell writes one event, and tells whether it was the last.
func (v *visit) tell(control *http.ResponseController, line []byte) (done bool, err error) {
	if err := control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false, err
	}
	event := []byte(": alive\n\n")
	if line = bytes.TrimSpace(line); len(line) > 0 {
		got := &orderv1.Order{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, got); err != nil || got.GetOrderId() == "" {
			return false, errors.New("the order's watch has ended")
		}
		page := v.withShipment(got)
		text, err := v.views.write("order", "progress", page)
		if err != nil {
			return false, err
		}
		event, done = sse(text, page.Final()), page.Final()
	}
	if _, err := v.w.Write(event); err != nil {
		return false, fmt.Errorf("tell a change: %w", err)
	}
	return done, control.Flush()
}

// sse writes lines of text as one event. The last one is called so, or the
// browser would ask for more. To a browser every \r, too, ends a line, and what
// follows would be no data: customers write names and addresses.
func sse(text []byte, last bool) []byte {
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	event := []byte("event: order\n")
	if last {
		event = []byte("event: last\n")
	}
	for line := range bytes.Lines(text) {
		event = append(append(append(event, "data: "...), bytes.TrimSuffix(line, []byte("\n"))...), '\n')
	}
	return append(event, '\n')
}

// noStream answers a script, which asks again or lets it be.
func (v *visit) noStream(err error) {
	status := http.StatusUnauthorized
	if p, ok := errors.AsType[*problem](err); ok {
		status = p.Status
	}
	http.Error(v.w, http.StatusText(status), status)
}
