package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// The variables by which the test's binary becomes a coordinator that kills itself.
const (
	childPoint   = "WARREN_COORDINATOR_DIES_AT"
	childNth     = "WARREN_COORDINATOR_DIES_NTH"
	childAddress = "WARREN_COORDINATOR_DATABASE"
	childLedger  = "WARREN_COORDINATOR_LEDGER"
)

func TestMain(m *testing.M) {
	if os.Getenv(childPoint) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	storetest.Main(m)
}

const killedSagas = 40

// resumed bounds the time until what a coordinator left is brought to its end. It
// is promised within 2 s; the tests run on machines that are busy.
const resumed = 10 * time.Second

func killedSaga(i int) *txnv1.Saga { return chain(fmt.Sprintf("g%d", i), "a", "b", "c") }

// child runs sagas until it comes to its point for the n-th time, and dies there
// as nobody can prevent.
func child() error {
	ctx := context.Background()
	nth, err := strconv.ParseInt(os.Getenv(childNth), 10, 64)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, os.Getenv(childAddress), store.Options{Name: "coordinator"})
	if err != nil {
		return err
	}
	book, err := openLedger(ctx, os.Getenv(childLedger))
	if err != nil {
		return err
	}
	var count atomic.Int64
	e, err := New(Options{DB: db, Conn: book, Logger: slog.New(slog.DiscardHandler), Failpoint: func(p string) error {
		if p == os.Getenv(childPoint) && count.Add(1) == nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	if err := e.Start(ctx); err != nil {
		return err
	}
	s := &service{engine: e}
	var all sync.WaitGroup
	for i := range killedSagas {
		all.Go(func() { _, _ = s.Submit(ctx, &txnv1.SubmitRequest{Saga: killedSaga(i), Wait: true}) })
	}
	all.Wait()
	return fmt.Errorf("%s was reached %d times; want %d", os.Getenv(childPoint), count.Load(), nth)
}

func TestKilledAtEveryPoint(t *testing.T) {
	points := map[string][]int{
		"created": {1, 20}, "before OP_ACTION": {1, 30}, "after OP_ACTION": {1, 30, 80},
		"before OP_COMPENSATE": {1, 5}, "after OP_COMPENSATE": {1, 7}, "commit": {1, 2, 4},
	}
	t.Run("sqlite", func(t *testing.T) {
		for point, list := range points {
			for _, nth := range list {
				t.Run(fmt.Sprint(point, " ", nth), func(t *testing.T) { killed(t, storetest.SQLite(t), point, nth) })
			}
		}
	})
	t.Run("postgres", func(t *testing.T) { killed(t, storetest.PostgreSQL(t), "after OP_ACTION", 40) })
	t.Run("mysql", func(t *testing.T) { killed(t, storetest.MySQL(t), "after OP_COMPENSATE", 5) })
}

func killed(t *testing.T, address, point string, nth int) {
	w := newWorld(t, address)
	ledger := storetest.SQLite(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childPoint+"="+point, childNth+"="+strconv.Itoa(nth), childAddress+"="+address, childLedger+"="+ledger)
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the coordinator was not killed: %v\n%s", err, out)
	}
	book, err := openLedger(t.Context(), ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer book.db.Close()
	db := w.open("next")
	e, err := New(Options{DB: db, Conn: book, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := &node{service: &service{engine: e}, ops: &operators{engine: e}, w: w}
	defer n.drain()
	var left int64
	w.until("what was begun to be ended", func() bool {
		err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM warren_txn WHERE ended_at = 0`).Scan(&left)
		return err == nil && left == 0
	})
	took := time.Since(began).Round(time.Millisecond)
	t.Logf("all that was begun had ended %v after the start of the next coordinator", took)
	if took > resumed {
		t.Errorf("what was begun had ended %v after the start of the next coordinator; want at most %v", took, resumed)
	}
	for i := range killedSagas { // its callers died too, and ask again
		n.submit(killedSaga(i))
	}
	for i := range killedSagas {
		state, want := txnv1.State_STATE_SUCCEEDED, int64(1)
		if i%4 == 3 {
			state, want = txnv1.State_STATE_FAILED, 0
		}
		v := n.wants(fmt.Sprintf("g%d", i), state)
		for _, b := range []string{"a", "b", "c"} {
			if got := book.net(t, v.GetGid(), b); got != want {
				t.Errorf("%s of %s: %d is left of its effect; want %d", b, v.GetGid(), got, want)
			}
		}
	}
}

// ledger takes part with a database: one row for each effect, with a barrier of
// two inserts before it.
type ledger struct {
	grpc.ClientConnInterface
	db *store.DB
}

func openLedger(ctx context.Context, address string) (*ledger, error) {
	db, err := store.Open(ctx, address, store.Options{Name: "ledger"})
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(ctx, `CREATE TABLE IF NOT EXISTS effects (gid VARCHAR(128) NOT NULL, branch VARCHAR(128) NOT NULL,
		op BIGINT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (gid, branch, op))`)
	return &ledger{db: db}, err
}

// Invoke does or undoes one effect; the last step of every fourth saga fails.
func (l *ledger) Invoke(ctx context.Context, method string, _, _ any, opts ...grpc.CallOption) error {
	md, _ := metadata.FromOutgoingContext(ctx)
	b := &txnv1.Branch{}
	if err := proto.Unmarshal([]byte(md.Get(branchMetadata)[0]), b); err != nil {
		return err
	}
	number, err := strconv.Atoi(b.GetGid()[1:])
	if err != nil {
		return err
	}
	outcome := &txnv1.Outcome{Kind: txnv1.Outcome_KIND_OK}
	if b.GetOp() == txnv1.Op_OP_ACTION && b.GetBranch() == "c" && number%4 == 3 {
		outcome.Kind = txnv1.Outcome_KIND_FAILURE
	} else if err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error { return l.do(ctx, tx, b) }); err != nil {
		return err
	}
	packed, err := proto.Marshal(outcome)
	for _, o := range opts {
		if tr, ok := o.(grpc.TrailerCallOption); ok {
			*tr.TrailerAddr = metadata.Pairs(outcomeMetadata, string(packed))
		}
	}
	if err == nil && outcome.GetKind() == txnv1.Outcome_KIND_FAILURE {
		err = fmt.Errorf("saga %d fails", number)
	}
	return err
}

func (l *ledger) do(ctx context.Context, tx *store.Tx, b *txnv1.Branch) error {
	insert := func(op txnv1.Op, amount int) (int64, error) {
		return tx.Exec(ctx, `INSERT INTO effects (gid, branch, op, amount) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			b.GetGid(), b.GetBranch(), int64(op), amount)
	}
	if b.GetOp() == txnv1.Op_OP_ACTION {
		_, err := insert(txnv1.Op_OP_ACTION, 1)
		return err
	}
	never, err := insert(txnv1.Op_OP_ACTION, 0)
	if err != nil {
		return err
	}
	_, err = insert(txnv1.Op_OP_COMPENSATE, int(never)-1)
	return err
}

func (l *ledger) net(t *testing.T, gid, branch string) int64 {
	t.Helper()
	var sum int64
	if err := l.db.QueryRow(t.Context(), `SELECT COALESCE(SUM(amount), 0) FROM effects WHERE gid = ? AND branch = ?`, gid, branch).Scan(&sum); err != nil {
		t.Fatal(err)
	}
	return sum
}
