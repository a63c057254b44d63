package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/page"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// world is a coordinator's database and those who take part.
type world struct {
	*testing.T
	address string
	people  *people
}

func newWorld(t *testing.T, address string) *world {
	w := &world{T: t, address: address, people: newPeople()}
	db := w.open("schema")
	if err := db.Migrate(t.Context(), Migrations); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open(name string) *store.DB {
	w.Helper()
	db, err := store.Open(w.Context(), w.address, store.Options{Name: name})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = db.Close() })
	return db
}

// node is one coordinator in this process.
type node struct {
	*service
	ops *operators
	w   *world
}

// quick are settings that make a test wait for little.
func quick(t testing.TB, more ...config.Entry) *config.Settings {
	t.Helper()
	entries := map[string]string{
		"txn.backoff.base": "5ms", "txn.backoff.max": "50ms", "txn.call_timeout": "2s",
		"txn.beat": "25ms", "txn.dead_after": "250ms", "txn.scan": "200ms", "txn.lock_poll": "20ms", "txn.ongoing": "10ms",
	}
	for _, e := range more {
		entries[e.Name] = e.Value
	}
	var file config.FileLayer
	for name, value := range entries {
		file.Entries = append(file.Entries, config.FileEntry{Name: name, Value: value})
	}
	s, err := config.New(config.Options{File: file, Definitions: Definitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (w *world) start(opts Options, more ...config.Entry) *node {
	w.Helper()
	if opts.DB == nil {
		opts.DB = w.open(fmt.Sprintf("node%p", &opts))
	}
	if opts.Conn == nil {
		opts.Conn = w.people
	}
	if opts.Settings == nil {
		opts.Settings = quick(w, more...)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := New(opts)
	if err != nil {
		w.Fatal(err)
	}
	if err := e.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	n := &node{service: &service{engine: e}, ops: &operators{engine: e, pages: page.New(e.db, txnv1.Reason_BAD_PAGE_TOKEN)}, w: w}
	w.Cleanup(func() { n.drain() })
	return n
}

func (n *node) drain() {
	if n.engine.draining.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := n.engine.Drain(ctx); err != nil && n.w.Context().Err() == nil {
		n.w.Errorf("drain: %v", err)
	}
}

// kill stops a coordinator as if its process had died: nothing is written or
// given away any more.
func (n *node) kill() {
	e := n.engine
	e.draining.Store(true)
	close(e.stopping)
	e.dropAll()
	e.cancelCalls()
	e.stop()
	e.writer.mu.Lock()
	e.writer.closed, e.writer.queue = true, nil
	e.writer.mu.Unlock()
	signal(e.writer.wake)
	e.background.Wait()
}

func (n *node) submit(saga *txnv1.Saga) {
	n.w.Helper()
	if _, err := n.Submit(n.w.Context(), &txnv1.SubmitRequest{Saga: saga}); err != nil {
		n.w.Fatalf("submit %s: %v", saga.GetGid(), err)
	}
}

// end waits until the transaction has ended or is parked.
func (n *node) end(gid string) *txnv1.Transaction {
	n.w.Helper()
	ctx, cancel := context.WithTimeout(n.w.Context(), 20*time.Second)
	defer cancel()
	v, err := n.Wait(ctx, &txnv1.WaitRequest{Gid: gid})
	if err != nil {
		n.w.Fatalf("wait for %s: %v", gid, err)
	}
	return v
}

func (n *node) wants(gid string, state txnv1.State) *txnv1.Transaction {
	n.w.Helper()
	v := n.end(gid)
	if v.GetState() != state || v.GetParked() {
		n.w.Fatalf("%s is %v (parked %v: %s); want %v", gid, v.GetState(), v.GetParked(), v.GetReason(), state)
	}
	return v
}

func (n *node) parked(gid string) *txnv1.Transaction {
	n.w.Helper()
	v := n.end(gid)
	if !v.GetParked() {
		n.w.Fatalf("%s is %v (%s); want it parked", gid, v.GetState(), v.GetReason())
	}
	return v
}

// cli is the context of the local operator.
func cli(ctx context.Context) context.Context {
	return auth.NewContext(ctx, auth.Caller{Service: localOperator})
}

var by = &txnv1.By{Author: "ann", Reason: "because"}

// step is a step whose action is "/shop.S/<name>".
func step(name string, after ...string) *txnv1.Step {
	return &txnv1.Step{Name: name, Method: "/shop.S/" + name, Compensate: "/shop.S/un" + name, Request: []byte{}, After: after}
}

func chain(gid string, names ...string) *txnv1.Saga {
	s := &txnv1.Saga{Gid: gid, Name: "test"}
	for i, name := range names {
		st := step(name)
		if i > 0 {
			st.After = []string{names[i-1]}
		}
		s.Steps = append(s.Steps, st)
	}
	return s
}

// people take part: each method does what its handler says, behind a barrier as
// the real one: what was done is not done again, and what was undone is not done.
type people struct {
	mu       sync.Mutex
	handlers map[string]handler
	query    func(gid, branch string) (txnv1.QueryResponse_Result, error)
	finish   func(*txnv1.FinishRequest) error
	prepared func() (*txnv1.PreparedResponse, error)
	seen     []seenCall
	effects  map[[3]string]int // gid, branch, "do" or "undo"
	answers  map[[3]string][]byte
	changed  chan struct{}
}

type seenCall struct {
	method string
	branch *txnv1.Branch
	data   []byte
	// created is when the transaction began, of a question.
	created time.Time
}

type handler func(ctx context.Context, b *txnv1.Branch, req []byte) ([]byte, error)

// said is an outcome that a participant's barrier tells.
type said struct {
	kind  txnv1.Outcome_Kind
	after time.Duration
	text  string
	// barred: no other call of it takes effect.
	barred bool
}

func (s said) Error() string { return s.text }

func failure(text string) error { return said{kind: txnv1.Outcome_KIND_FAILURE, text: text} }

func newPeople() *people {
	return &people{handlers: map[string]handler{}, effects: map[[3]string]int{}, answers: map[[3]string][]byte{}, changed: make(chan struct{}),
		prepared: func() (*txnv1.PreparedResponse, error) { return nil, errors.New("nothing") }}
}

func (p *people) on(name string, h handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers["/shop.S/"+name] = h
}

// Invoke is a call of the coordinator.
func (p *people) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	switch req := args.(type) {
	case *txnv1.QueryRequest:
		p.saw(seenCall{method: method, created: req.GetCreateTime().AsTime()})
		result, err := p.query(req.GetGid(), req.GetBranch())
		if resp, ok := reply.(*txnv1.QueryResponse); ok {
			resp.Result = result
		}
		return err
	case *txnv1.FinishRequest:
		p.saw(seenCall{method: method, branch: &txnv1.Branch{Gid: req.GetGid(), Branch: req.GetBranch()}})
		return p.finish(req)
	case *txnv1.PreparedRequest:
		p.saw(seenCall{method: method})
		resp, err := p.prepared()
		if to, ok := reply.(*txnv1.PreparedResponse); ok {
			proto.Merge(to, resp)
		}
		return err
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	b := &txnv1.Branch{}
	if err := proto.Unmarshal([]byte(md.Get(branchMetadata)[0]), b); err != nil {
		return err
	}
	data, err := rawCodec{}.Marshal(args)
	if err != nil {
		return err
	}
	p.saw(seenCall{method: method, branch: b, data: data})
	resp, err := p.serve(ctx, method, b, data)
	outcome := &txnv1.Outcome{Kind: txnv1.Outcome_KIND_OK}
	if s, ok := errors.AsType[said](err); ok {
		outcome = &txnv1.Outcome{Kind: s.kind, Reason: s.text, Barred: s.barred}
		if s.after > 0 {
			outcome.After = durationpb.New(s.after)
		}
		err = status.Error(codes.FailedPrecondition, s.text)
	} else if err != nil {
		return err // no word of the barrier
	}
	packed, _ := proto.Marshal(outcome)
	for _, o := range opts {
		if tr, ok := o.(grpc.TrailerCallOption); ok {
			*tr.TrailerAddr = metadata.Pairs(outcomeMetadata, string(packed))
		}
	}
	if err != nil {
		return err
	}
	return rawCodec{}.Unmarshal(resp, reply)
}

// NewStream is never used.
func (p *people) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("no streams")
}

// serve runs the handler and notes its effect, as a barrier does.
func (p *people) serve(ctx context.Context, method string, b *txnv1.Branch, req []byte) ([]byte, error) {
	p.mu.Lock()
	h := p.handlers[method]
	undo := b.GetOp() == txnv1.Op_OP_COMPENSATE || b.GetOp() == txnv1.Op_OP_CANCEL
	do, un := [3]string{b.GetGid(), b.GetBranch(), "do"}, [3]string{b.GetGid(), b.GetBranch(), "undo"}
	p.mu.Unlock()
	var resp []byte
	if h != nil {
		answer, err := h(ctx, b, req)
		if err != nil {
			return nil, err
		}
		resp = answer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case undo && p.effects[un] > 0:
	case undo:
		if p.effects[do] > 0 {
			p.effects[un]++
		}
		p.effects[[3]string{b.GetGid(), b.GetBranch(), "barred"}]++
	case p.effects[[3]string{b.GetGid(), b.GetBranch(), "barred"}] > 0:
		return nil, failure("it was undone before it was done")
	case p.effects[do] > 0:
		return p.answers[do], nil
	default:
		p.effects[do]++
		p.answers[do] = resp
	}
	return resp, nil
}

func (p *people) saw(c seenCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, c)
	close(p.changed)
	p.changed = make(chan struct{})
}

// calls lists the methods called for a transaction, in their order.
func (p *people) calls(gid string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, c := range p.seen {
		if c.branch.GetGid() == gid {
			list = append(list, c.method[len("/shop.S/"):])
		}
	}
	return list
}

// net is what is left of the effects of a branch: 1 done, 0 not done or undone.
func (p *people) net(gid, branch string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.effects[[3]string{gid, branch, "do"}] - p.effects[[3]string{gid, branch, "undo"}]
}

// until waits until the condition holds, looking whenever a call is seen.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		w.people.mu.Lock()
		changed := w.people.changed
		w.people.mu.Unlock()
		if ok() {
			return
		}
		again := time.NewTimer(5 * time.Millisecond)
		select {
		case <-changed:
		case <-again.C:
		case <-deadline.C:
			w.Fatalf("waited in vain for %s", what)
		}
		again.Stop()
	}
}

func (w *world) nets(gid string, want int, branches ...string) {
	w.Helper()
	for _, b := range branches {
		if got := w.people.net(gid, b); got != want {
			w.Errorf("%s of %s: %d is left of its effect; want %d (calls %v)", b, gid, got, want, w.people.calls(gid))
		}
	}
}

func each(t *testing.T, test func(w *world)) {
	storetest.Each(t, func(t *testing.T, address string) { test(newWorld(t, address)) })
}

func entry(name, value string) config.Entry { return config.Entry{Name: name, Value: value} }

func reason(r txnv1.Reason) error { return rpc.Reason(r) }

// blind are people who do nothing and remember nothing, for measuring.
type blind struct{ *people }

// Invoke says that all is well.
func (blind) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return nil }
