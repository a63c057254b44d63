package console_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/console"
)

// questions are what the console asked of the API, each as its method and the
// request.
type questions struct {
	mu  sync.Mutex
	all []string
}

func (q *questions) note(method string, request any) {
	text := ""
	if m, ok := request.(proto.Message); ok {
		text = strings.Join(strings.Fields(prototext.Format(m)), " ") // whose spaces vary
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, method+" "+text)
}

// take are those since it was asked last.
func (q *questions) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.all
	q.all = nil
	return out
}

// listener passes questions on, and notes them.
type listener struct {
	*grpc.ClientConn
	heard *questions
}

func (l *listener) Invoke(ctx context.Context, method string, in, out any, opts ...grpc.CallOption) error {
	l.heard.note(method, in)
	return l.ClientConn.Invoke(ctx, method, in, out, opts...)
}

func (l *listener) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := l.ClientConn.NewStream(ctx, desc, method, opts...)
	return &heardStream{stream, method, l.heard}, err
}

type heardStream struct {
	grpc.ClientStream
	method string
	heard  *questions
}

func (s *heardStream) SendMsg(m any) error {
	s.heard.note(s.method, m)
	return s.ClientStream.SendMsg(m)
}

// inside asks for a page as the stream does that keeps it up to date.
func inside(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Fragment", "inside")
	return answered(t, r)
}

// TestAskedOnce finds no page that asks the same twice for one view.
func TestAskedOnce(t *testing.T) {
	for _, s := range screens {
		w := newWorld()
		at := "http://" + w.serve(t, console.Options{}).Address()
		inside(t, at+s.path)
		seen := map[string]bool{}
		asked := w.heard.take()
		for _, q := range asked {
			if seen[q] {
				t.Errorf("%s asks twice: %s", s.name, q)
			}
			seen[q] = true
		}
		const many = 32
		if len(asked) > many {
			t.Errorf("%s asks %d questions:\n%s", s.name, len(asked), strings.Join(asked, "\n"))
		}
	}
}

// TestWall renews the overview: it asks no service, nor for anything only to count
// it, and what it found a moment ago it does not ask for again.
func TestWall(t *testing.T) {
	w := newWorld()
	at := "http://" + w.serve(t, console.Options{}).Address()
	page := inside(t, at+"/overview")
	for _, want := range []string{
		`<span class="name">In flight</span><span class="value">2</span>`, `<span class="name">Parked</span><span class="value">1</span>`,
		`<span class="name">Dead letters</span><span class="value">7</span>`, `<span class="name">Outbox</span><span class="value">210 ms</span>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	for _, q := range w.heard.take() {
		for _, no := range []string{"LetterService", "OperatorService", "ContractService"} {
			if strings.Contains(q, no) {
				t.Errorf("asked: %s", q)
			}
		}
	}
}

// madeUpFigures are those at the top of the overview.
func madeUpFigures() []*observev1.Sample {
	var out []*observev1.Sample
	for name, value := range map[string]float64{"active": 2, "parked": 1, "letters": 7, "outbox": 0.21} {
		out = append(out, &observev1.Sample{Labels: map[string]string{"figure": name}, Value: value})
	}
	return out
}
