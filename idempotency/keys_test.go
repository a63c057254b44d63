package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	rpcv1 "github.com/gowarren/warren/api/warren/rpc/v1"
	tillv1 "github.com/gowarren/warren/idempotency/internal/testpb/till/v1"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/idempotency"
	"github.com/gowarren/warren/internal/transcode"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
)

const childVariable = "WARREN_TEST_IDEMPOTENCY"

// is tells whether the answer is an error for the reason.
func is(err error, reason rpcv1.Reason) bool {
	return err != nil && errors.Is(rpc.FromError(err), rpc.Reason(reason))
}

func TestSameKeySameAnswer(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB, s *till, client tillv1.TillServiceClient) {
		req := &tillv1.PayRequest{Customer: "ann", Amount: 5}
		first, err := client.Pay(keyed(t, "k1"), req)
		if err != nil {
			t.Fatal(err)
		}
		var header metadata.MD
		again, err := client.Pay(keyed(t, "k1"), req, grpc.Header(&header))
		if err != nil || !proto.Equal(first, again) || len(header.Get(idempotency.MetadataReplayed)) != 1 {
			t.Errorf("again: %v, %v, %v", again, err, header)
		}
		if other, err := client.Pay(keyed(t, "k2"), req); err != nil || other.GetReceipt() == first.GetReceipt() {
			t.Errorf("another key: %v, %v", other, err)
		}
		// A key belongs to its method.
		if tip, err := client.Tip(keyed(t, "k1"), req); err != nil || tip.GetReceipt() == first.GetReceipt() {
			t.Errorf("another method: %v, %v", tip, err)
		}
		if _, err := client.Tip(t.Context(), req); err != nil {
			t.Errorf("without the key that is only accepted: %v", err)
		}
		if n := paid(t, db, "ann"); n != 4 {
			t.Errorf("ann paid %d times", n)
		}
	})
}

func TestOtherRequestIsRefused(t *testing.T) {
	each(t, func(t *testing.T, _ *store.DB, s *till, client tillv1.TillServiceClient) {
		if _, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 5}); err != nil {
			t.Fatal(err)
		}
		_, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 6})
		if !is(err, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_REUSED) || s.called() != 1 {
			t.Errorf("%v after %d calls", err, s.called())
		}
		if p := transcode.ProblemOf(err); p.Status != 422 || p.Title != "Unprocessable Entity" {
			t.Errorf("%+v", p)
		}
		_, err = client.Pay(keyed(t, strings.Repeat("k", 256)), &tillv1.PayRequest{})
		if !is(err, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_INVALID) {
			t.Errorf("a long key: %v", err)
		}
	})
}

// Fifty at once: one is answered, the others later get the same or are told to wait.
func TestFiftyDuplicatesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB, s *till, client tillv1.TillServiceClient) {
		var wait sync.WaitGroup
		receipts := make(chan string, 50)
		for range 50 {
			wait.Go(func() {
				for {
					answer, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 5})
					if is(err, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE) {
						if p := transcode.ProblemOf(err); p.Status != 409 || p.RetryAfter <= 0 {
							t.Errorf("%+v", p)
						}
						pause(t, rpc.FromError(err).RetryAfter)
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					receipts <- answer.GetReceipt()
					return
				}
			})
		}
		wait.Wait()
		close(receipts)
		all := map[string]int{}
		for r := range receipts {
			all[r]++
		}
		if len(all) != 1 || paid(t, db, "ann") != 1 || s.called() != 1 {
			t.Errorf("receipts %v, paid %d times, called %d times", all, paid(t, db, "ann"), s.called())
		}
	})
}

func pause(t testing.TB, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		code codes.Code
		kept bool
	}{{codes.FailedPrecondition, true}, {codes.NotFound, true}, {codes.Unavailable, false}, {codes.Internal, false}, {codes.Aborted, false}} {
		t.Run(c.code.String(), func(t *testing.T) {
			each(t, func(t *testing.T, db *store.DB, s *till, client tillv1.TillServiceClient) {
				s.before = func(_ context.Context, n int64) error {
					if n == 1 {
						return &rpc.Error{Code: c.code, Reason: "NO_MONEY", Domain: "till", Message: "there is none"}
					}
					return nil
				}
				req := &tillv1.PayRequest{Customer: "ann", Amount: 5}
				if _, err := client.Pay(keyed(t, "k"), req); rpc.FromError(err).Code != c.code {
					t.Fatal(err)
				}
				if n := paid(t, db, "ann"); n != 0 {
					t.Errorf("paid %d times in spite of the error", n)
				}
				_, err := client.Pay(keyed(t, "k"), req)
				e := rpc.FromError(err)
				switch {
				case c.kept && (e == nil || e.Code != c.code || e.Reason != "NO_MONEY" || e.Message != "there is none" || s.called() != 1):
					t.Errorf("again: %v after %d calls", err, s.called())
				case !c.kept && (err != nil || paid(t, db, "ann") != 1):
					t.Errorf("again: %v, paid %d times", err, paid(t, db, "ann"))
				}
			})
		})
	}
}

func TestPanicFreesTheKey(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB, s *till, client tillv1.TillServiceClient) {
		s.before = func(_ context.Context, n int64) error {
			if n == 1 {
				panic("out of paper")
			}
			return nil
		}
		req := &tillv1.PayRequest{Customer: "ann", Amount: 5}
		if _, err := client.Pay(keyed(t, "k"), req); rpc.FromError(err).Code != codes.Internal {
			t.Error(err)
		}
		if _, err := client.Pay(keyed(t, "k"), req); err != nil || paid(t, db, "ann") != 1 {
			t.Errorf("%v, paid %d times", err, paid(t, db, "ann"))
		}
	})
}

func TestCallersHaveTheirOwnKeys(t *testing.T) {
	db := database(t, storetest.SQLite(t))
	keys, err := idempotency.New(idempotency.Options{Database: idempotency.In(db)})
	if err != nil {
		t.Fatal(err)
	}
	s := newTill(db)
	info := &grpc.UnaryServerInfo{FullMethod: tillv1.TillService_Pay_FullMethodName}
	for range 2 {
		for _, caller := range []auth.Caller{{Subject: "ann"}, {Subject: "bob"}, {Subject: "ann", Issuer: "elsewhere"}, {Service: "ann"}, {}} {
			ctx := auth.NewContext(metadata.NewIncomingContext(t.Context(), metadata.Pairs(rpc.MetadataIdempotencyKey, "k")), caller)
			_, err := keys.Intercept(ctx, &tillv1.PayRequest{Customer: "ann"}, info, func(ctx context.Context, req any) (any, error) {
				return s.Pay(ctx, req.(*tillv1.PayRequest))
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	if s.called() != 5 {
		t.Errorf("called %d times", s.called())
	}
}

// child is an instance that is killed while it answers.
func child(address string) int {
	db, err := store.Open(context.Background(), address, store.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	keys, err := idempotency.New(idempotency.Options{Database: idempotency.In(db)})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s := newTill(db)
	s.before = func(context.Context, int64) error {
		fmt.Println("answering")
		select {}
	}
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(rpc.MetadataIdempotencyKey, "k"))
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err = keys.Intercept(ctx, &tillv1.PayRequest{Customer: "ann", Amount: 5}, &grpc.UnaryServerInfo{FullMethod: tillv1.TillService_Pay_FullMethodName},
		func(ctx context.Context, req any) (any, error) {
			return s.Pay(context.WithoutCancel(ctx), req.(*tillv1.PayRequest))
		})
	fmt.Println(err)
	return 1
}

// A process dies in the middle: the key is held until its call would have ended, and
// then the next call is the first.
func TestKilledInTheMiddle(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		db := database(t, address)
		s := newTill(db)
		client := serve(t, s, idempotency.Options{})
		killed(t, address)
		refused := 0
		for {
			_, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 5})
			if err == nil {
				break
			}
			if !is(err, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE) {
				t.Fatal(err)
			}
			refused++
			pause(t, rpc.FromError(err).RetryAfter)
		}
		if paid(t, db, "ann") != 1 || s.called() != 1 || refused == 0 {
			t.Errorf("paid %d times, called %d times, refused %d times", paid(t, db, "ann"), s.called(), refused)
		}
	})
}

func killed(t *testing.T, address string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+address)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	if n, err := out.Read(said); err != nil && !errors.Is(err, io.EOF) || string(said[:n]) != "answering\n" {
		t.Errorf("the child said %q, %v", said[:n], err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed: that's no news
}

// A call that outlives its claim commits nothing once another has it.
func TestLateCallCommitsNothing(t *testing.T) {
	for name, fresh := range map[string]func(testing.TB) string{"postgres": storetest.PostgreSQL, "mysql": storetest.MySQL} {
		t.Run(name, func(t *testing.T) {
			db := database(t, fresh(t))
			s := newTill(db)
			answering, goOn := make(chan struct{}), make(chan struct{})
			s.before = func(_ context.Context, n int64) error {
				if n == 1 {
					close(answering)
					<-goOn
				}
				return nil
			}
			client := serve(t, s, idempotency.Options{})
			late := make(chan error, 1)
			req := &tillv1.PayRequest{Customer: "ann", Amount: 5}
			go func() {
				_, err := client.Pay(keyed(t, "k"), req)
				late <- err
			}()
			<-answering
			// As if its time were over.
			if _, err := db.Exec(t.Context(), `UPDATE warren_idempotency SET until_at = 0`); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Pay(keyed(t, "k"), req); err != nil {
				t.Error(err)
			}
			close(goOn)
			if err := <-late; !is(err, rpcv1.Reason_REASON_IDEMPOTENCY_KEY_IN_USE) {
				t.Errorf("the late call: %v", err)
			}
			if n := paid(t, db, "ann"); n != 1 {
				t.Errorf("paid %d times", n)
			}
		})
	}
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB, _ *till, client tillv1.TillServiceClient) {
		for n := range 3 {
			if _, err := client.Pay(keyed(t, strconv.Itoa(n)), &tillv1.PayRequest{Customer: "ann"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.Exec(t.Context(), `UPDATE warren_idempotency SET until_at = 0 WHERE id = (SELECT id FROM (SELECT MIN(id) AS id FROM warren_idempotency) x)`); err != nil {
			t.Fatal(err)
		}
		keys, err := idempotency.New(idempotency.Options{Database: idempotency.In(db)})
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Purge(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM warren_idempotency`).Scan(&left); err != nil || left != 2 {
			t.Errorf("%d are left, %v", left, err)
		}
	})
}

// Keys move with their shard: a call that is repeated afterwards has no second effect.
func TestKeysMoveWithTheirShard(t *testing.T) {
	urls := []string{storetest.SQLite(t), storetest.SQLite(t)}
	all, err := shards.Open(t.Context(), urls, shards.Options{
		Migrations: schema, Prepare: idempotency.Migrate,
		Tables: []shards.Table{
			{Name: "payments", Shard: "shard", Key: []string{"receipt"}},
			{Name: idempotency.Table, Shard: "shard", Key: []string{"id"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newTill(all.Shard(0))
	client := serve(t, s, idempotency.Options{Database: func(context.Context, string, proto.Message) (idempotency.Database, error) {
		return all.Shard(0), nil
	}})
	first, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{urls[1], urls[0]} {
		if err := all.Move(t.Context(), 0, to, nil); err != nil {
			t.Fatal(err)
		}
		again, err := client.Pay(keyed(t, "k"), &tillv1.PayRequest{Customer: "ann", Amount: 5})
		if err != nil || !proto.Equal(first, again) {
			t.Errorf("after the move: %v, %v", again, err)
		}
	}
	if s.called() != 1 {
		t.Errorf("called %d times", s.called())
	}
}
