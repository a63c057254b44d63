package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gowarren/warren/internal/transcode"
)

// lasting is an answer of a service of plain HTTP that goes on for as long as somebody
// listens: when streams have to end, so has it. Its client connects again, elsewhere.
type lasting struct {
	io.ReadCloser
	ended  atomic.Bool
	once   sync.Once
	closed chan struct{}
}

// endWith has an answer end with the gateway, if it is one that has no end of its own.
func endWith(ending <-chan struct{}, r *http.Response) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), transcode.SSE) {
		return
	}
	b := &lasting{ReadCloser: r.Body, closed: make(chan struct{})}
	r.Body = b
	go func() {
		select {
		case <-ending:
			b.ended.Store(true)
			_ = b.ReadCloser.Close() // whoever reads is told
		case <-b.closed:
		}
	}()
}

// Read reads what comes next.
func (b *lasting) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.ended.Load() {
		err = io.EOF
	}
	return n, err
}

// Close ends the answer.
func (b *lasting) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}
