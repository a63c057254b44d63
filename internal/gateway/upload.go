package gateway

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// upload is the body of a request that is passed on as it comes. Its client has a time
// for each part of it. Whoever reads may go on when the request has been handled: then
// the connection, and its deadlines, belong to others.
type upload struct {
	e    *exchange
	body io.ReadCloser
	left limitedReader

	mu       sync.Mutex
	closed   bool
	waiting  bool // for the client
	deadline time.Time
}

func newUpload(e *exchange, limit int64) *upload {
	return &upload{e: e, body: e.r.Body, left: limitedReader{r: e.r.Body, left: limit}}
}

// Read reads what the client sends next.
func (u *upload) Read(p []byte) (int, error) {
	u.wait(true)
	n, err := u.left.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		u.wait(false)
	}
	return n, err
}

// wait begins or ends to wait for the client.
func (u *upload) wait(waiting bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.set(waiting)
}

// set is wait with the lock held.
func (u *upload) set(waiting bool) {
	if u.closed {
		return
	}
	u.waiting, u.deadline = waiting, time.Time{}
	if waiting {
		u.deadline = time.Now().Add(u.e.g.numbers.bodyTimeout.Get())
	}
	_ = u.e.w.control.SetReadDeadline(u.deadline) // without deadlines, as in tests, a body may take for ever
}

// Close ends the reading. It is called before the request has been handled, and waits
// for a little of what is left.
func (u *upload) Close() error {
	u.mu.Lock()
	u.set(true)
	u.closed = true
	u.mu.Unlock()
	return u.body.Close()
}

// tooSlow tells whether the client's time is up. Who answers learns that the reading
// has failed before its reader does.
func (u *upload) tooSlow() bool {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waiting && !time.Now().Before(u.deadline)
}
