package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// recorder is a ResponseWriter that remembers what was answered, and gives a
// client that reads slowly only so much time per write.
type recorder struct {
	http.ResponseWriter
	control  http.ResponseController
	status   int
	sent     int64
	patience time.Duration
	streams  bool // the connection carries other requests beside this one: HTTP/2
	extended time.Time
	began    time.Time // when the answer did
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.extend()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.extend()
	n, err := w.ResponseWriter.Write(b)
	w.sent += int64(n)
	return n, err
}

// extend renews the deadline of writing; moving it for every small write would
// cost more than it brings.
func (w *recorder) extend() {
	now := time.Now()
	if w.began.IsZero() {
		w.began = now
	}
	if w.patience <= 0 || now.Sub(w.extended) < w.patience/8 {
		return
	}
	w.extended = now
	// A writer without deadlines, as in tests, has patience without end.
	_ = w.control.SetWriteDeadline(now.Add(w.patience))
}

// Flush sends what was written.
func (w *recorder) Flush() {
	w.extend()
	_ = w.control.Flush()            // an error comes back from the next write
	if w.streams && w.patience > 0 { // there a deadline ends the stream, also while nobody writes
		w.extended = time.Time{}
		_ = w.control.SetWriteDeadline(time.Time{})
	}
}

// Hijack gives the connection away: to a protocol that was upgraded to.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status, w.began = http.StatusSwitchingProtocols, time.Now()
	return w.control.Hijack()
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
