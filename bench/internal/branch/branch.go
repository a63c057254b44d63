// Package branch is those who take part in the measured transactions, for every
// coordinator alike. They do next to nothing, but count who was called how often,
// so that what a coordinator claims can be checked.
package branch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	txnv1 "github.com/gowarren/warren/bench/api/bench/txn/v1"
)

// Service implements both contracts.
type Service struct {
	txnv1.UnimplementedBranchServiceServer
	txnv1.UnimplementedHungServiceServer

	mu      sync.Mutex
	failing bool
	sagas   map[string]*calls
	began   time.Time // of the first call since the mark
	hanging int
}

// calls are those of one saga.
type calls struct {
	first, second, undone int
	ended                 time.Time
}

// New returns a service that nobody has called.
func New() *Service { return &Service{sagas: map[string]*calls{}} }

// First does the first half, unless it was told to fail.
func (s *Service) First(_ context.Context, r *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	return s.count(r.GetId(), func(c *calls) { c.first++ })
}

// Second does the second half, unless it was told to fail.
func (s *Service) Second(_ context.Context, r *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	return s.count(r.GetId(), func(c *calls) { c.second++ })
}

// UndoFirst is what no measured saga should come to.
func (s *Service) UndoFirst(_ context.Context, r *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	return s.count(r.GetId(), func(c *calls) { c.undone++ })
}

// UndoSecond is what no measured saga should come to.
func (s *Service) UndoSecond(_ context.Context, r *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	return s.count(r.GetId(), func(c *calls) { c.undone++ })
}

// Hang waits until the caller gives up.
func (s *Service) Hang(ctx context.Context, _ *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	s.hang(1)
	defer s.hang(-1)
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

// UndoHang has nothing to undo.
func (s *Service) UndoHang(context.Context, *txnv1.BranchRequest) (*txnv1.BranchResponse, error) {
	return &txnv1.BranchResponse{}, nil
}

func (s *Service) hang(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging += n
}

func (s *Service) count(id string, what func(*calls)) (*txnv1.BranchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.began.IsZero() {
		s.began = now
	}
	if s.failing {
		return nil, status.Error(codes.Unavailable, "out of order")
	}
	c := s.sagas[id]
	if c == nil {
		c = &calls{}
		s.sagas[id] = c
	}
	what(c)
	c.ended = now
	return &txnv1.BranchResponse{}, nil
}

// Order asks for a report of the sagas whose ids begin with Prefix. What else it
// says happens before.
type Order struct {
	Prefix string
	Fail   *bool // from now on every call fails, or none
	Mark   bool  // forget when the first call was
}

// Report says what happened to the sagas asked about.
type Report struct {
	Exact    int // both halves done, exactly once each
	Repeated int // both done, and at least one of them more than once
	Half     int // only one of them done
	Undone   int // something undone
	Hanging  int // calls that hang now
	First    time.Time
	Last     time.Time // call of all that succeeded
}

// Done is how many have ended as they should.
func (r Report) Done() int { return r.Exact + r.Repeated }

func (s *Service) obey(o Order) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Fail != nil {
		s.failing = *o.Fail
	}
	if o.Mark {
		s.began = time.Time{}
	}
	r := Report{First: s.began, Hanging: s.hanging}
	for id, c := range s.sagas {
		if !strings.HasPrefix(id, o.Prefix) {
			continue
		}
		switch {
		case c.undone > 0:
			r.Undone++
		case c.first == 1 && c.second == 1:
			r.Exact++
		case c.first > 0 && c.second > 0:
			r.Repeated++
		default:
			r.Half++
		}
		if c.ended.After(r.Last) {
			r.Last = c.ended
		}
	}
	return r
}

// Obey takes orders from standard input until that ends, and reports on the
// first file inherited.
func (s *Service) Obey() error {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.NewFile(3, "reports"))
	for in.Scan() {
		var o Order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		if err := out.Encode(s.obey(o)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return in.Err()
}
