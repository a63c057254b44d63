package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gowarren/warren/internal/transcode"
)

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBody is the largest buffer that is used again: one huge request must not
// hold its memory for ever.
const keepBody = 256 << 10

func release(b *bytes.Buffer) {
	if b != nil && b.Cap() <= keepBody {
		b.Reset()
		bodies.Put(b)
	}
}

// readBody reads the whole body, decompressed, within the method's limit. The
// buffer goes back with release.
func (e *exchange) readBody() (*bytes.Buffer, *transcode.Problem) {
	if e.r.Body == nil || e.r.Body == http.NoBody || e.r.ContentLength == 0 {
		return nil, nil
	}
	limit := int64(e.endpoint.body.Get())
	if e.r.ContentLength > limit {
		return nil, bodyTooLarge()
	}
	// Without deadlines, as in tests, a body may take for ever.
	_ = e.w.control.SetReadDeadline(time.Now().Add(e.g.numbers.bodyTimeout.Get()))
	defer func() { _ = e.w.control.SetReadDeadline(time.Time{}) }()
	reader, p := e.decompressed(e.r.Body, limit) // which reads already
	if p != nil {
		return nil, p
	}
	buffer := bodies.Get().(*bytes.Buffer)
	_, err := buffer.ReadFrom(io.LimitReader(reader, limit+1))
	if err == nil && int64(buffer.Len()) > limit {
		err = errBodyTooLarge
	}
	if err != nil {
		release(buffer)
		return nil, bodyProblem(err)
	}
	return buffer, nil
}

// reasonUnreadable is a body of which nobody knows where it ends, and so where
// the next request starts.
const reasonUnreadable = "UNREADABLE_BODY"

const reasonTooSlow = "BODY_TOO_SLOW"

var errBodyTooLarge = errors.New("the body is too large")

// decompressed undoes the body's encoding, with limits before and after.
func (e *exchange) decompressed(raw io.Reader, limit int64) (io.Reader, *transcode.Problem) {
	body := &limitedReader{r: raw, left: limit}
	switch strings.ToLower(e.r.Header.Get("Content-Encoding")) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, bodyProblem(err)
		}
		return z, nil
	}
	p := transcode.NewProblem(http.StatusUnsupportedMediaType, "UNSUPPORTED_ENCODING", "the body's content encoding is not supported")
	e.w.Header().Set("Accept-Encoding", "gzip")
	return nil, p
}

// limitedReader is io.LimitReader, but says so when there is more.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errBodyTooLarge
	}
	return n, err
}

func bodyTooLarge() *transcode.Problem {
	return transcode.NewProblem(http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", errBodyTooLarge.Error())
}

// bodyProblem says whose fault it is that a body cannot be read: it is always
// the client's, never a service's.
func bodyProblem(err error) *transcode.Problem {
	switch {
	case errors.Is(err, errBodyTooLarge), errors.Is(err, transcode.ErrLineTooLong):
		return bodyTooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return transcode.NewProblem(http.StatusRequestTimeout, reasonTooSlow, "the body did not arrive in time")
	}
	return transcode.NewProblem(http.StatusBadRequest, reasonUnreadable, "the body cannot be read")
}
