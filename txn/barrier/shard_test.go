package barrier_test

import (
	"context"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/txn/barrier"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

var tentSchema = fstest.MapFS{"migrations/0001_tents.sql": &fstest.MapFile{Data: []byte(`
	CREATE TABLE pitched (id VARCHAR(200) PRIMARY KEY, shard BIGINT NOT NULL, runs BIGINT NOT NULL);
	CREATE INDEX pitched_shard ON pitched (shard, id);`)}}

// tents are a service whose rows lie in shards, behind a barrier.
type tents struct {
	testing.TB
	all     *shards.Shards
	barrier *barrier.Barrier
}

func pitch(t testing.TB, urls ...string) *tents {
	t.Helper()
	all, err := shards.Open(t.Context(), urls, shards.Options{
		Shards: 4, Migrations: tentSchema, Prepare: barrier.MigrateShards,
		Tables: []shards.Table{
			{Name: "pitched", Shard: "shard", Key: []string{"id"}},
			{Name: barrier.Table, Shard: "shard", Key: []string{"gid", "branch", "op", "step"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Close() })
	f := &tents{TB: t, all: all}
	f.barrier = barrier.New(barrier.Options{
		Database: func(_ context.Context, _ string, req proto.Message) (barrier.Database, error) {
			return f.shard(req), nil
		},
		Databases: all.Databases, Manual: []string{fairv1.StallService_Confirm_FullMethodName}, TwoPhase: true,
	})
	return f
}

func (f *tents) shard(req any) shards.Shard {
	return f.all.Shard(f.all.Of(req.(interface{ GetId() string }).GetId()))
}

// call makes the call of the branch, whose request has the gid for its id.
func (f *tents) call(b *txnv1.Branch) (reply any, o *txnv1.Outcome) {
	f.Helper()
	var req proto.Message = &fairv1.ReserveRequest{Id: b.GetGid()}
	method, handler := fairv1.StallService_Reserve_FullMethodName, f.reserve
	switch b.GetOp() {
	case compensate:
		req, method, handler = &fairv1.ReleaseRequest{Id: b.GetGid()}, fairv1.StallService_Release_FullMethodName, f.release
	case confirm:
		req, method, handler = &fairv1.ConfirmRequest{Id: b.GetGid()}, fairv1.StallService_Confirm_FullMethodName, f.confirm
	}
	out, err := barrier.Outgoing(auth.NewContext(f.Context(), auth.Caller{Service: "coordinator"}), b)
	if err != nil {
		f.Fatal(err)
	}
	sent, _ := metadata.FromOutgoingContext(out)
	way := &wayBack{}
	ctx := grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(out, sent), way)
	reply, err = f.barrier.Intercept(ctx, req, &grpc.UnaryServerInfo{FullMethod: method}, handler)
	return reply, barrier.OutcomeOf(way.trailer, err)
}

// wayBack is where a server puts what it says besides its answer.
type wayBack struct {
	grpc.ServerTransportStream
	trailer metadata.MD
}

func (w *wayBack) SetTrailer(md metadata.MD) error {
	w.trailer = metadata.Join(w.trailer, md)
	return nil
}

func (f *tents) add(ctx context.Context, id string, n int) error {
	return f.all.InTx(ctx, f.all.Of(id), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO pitched (id, shard, runs) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET runs = pitched.runs + ?`, id, f.all.Of(id), n, n)
		return err
	})
}

func (f *tents) reserve(ctx context.Context, req any) (any, error) {
	id := req.(*fairv1.ReserveRequest).GetId()
	return &fairv1.ReserveResponse{Shelf: "shelf of " + id}, f.add(ctx, id, 1)
}

func (f *tents) release(ctx context.Context, req any) (any, error) {
	return &fairv1.ReleaseResponse{}, f.add(ctx, req.(*fairv1.ReleaseRequest).GetId(), 10)
}

// confirm manages its transaction itself.
func (f *tents) confirm(ctx context.Context, req any) (any, error) {
	id := req.(*fairv1.ConfirmRequest).GetId()
	return &fairv1.ConfirmResponse{}, f.all.InTx(ctx, f.all.Of(id), func(ctx context.Context, tx *store.Tx) error {
		return barrier.Do(ctx, tx, "sell", func(ctx context.Context, _ *store.Tx) error { return f.add(ctx, id, 100) })
	}, store.Joinable)
}

// move moves the shard of an id to the database it isn't in.
func (f *tents) move(id string, urls ...string) {
	f.Helper()
	shard := f.all.Of(id)
	before, err := f.all.Database(f.Context(), shard)
	for _, to := range urls {
		if err == nil {
			err = f.all.Move(f.Context(), shard, to, nil)
		}
		if now, wrong := f.all.Database(f.Context(), shard); err != nil || wrong != nil || now != before {
			break
		}
	}
	if err != nil {
		f.Fatal(err)
	}
}

// runs returns the sum of what was added for an id.
func (f *tents) runs(id string) (n int) {
	f.Helper()
	err := f.all.InTx(f.Context(), f.all.Of(id), func(ctx context.Context, tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT COALESCE(SUM(runs), 0) FROM pitched WHERE id = ?`, id).Scan(&n)
	})
	if err != nil {
		f.Fatal(err)
	}
	return n
}

// TestShardMovesBetweenCallAndRepetition: what was done is known where the shard
// is, and so is what was barred.
func TestShardMovesBetweenCallAndRepetition(t *testing.T) {
	for name, fresh := range map[string]func(testing.TB) string{
		"sqlite": storetest.SQLite, "postgres": storetest.PostgreSQL, "mysql": storetest.MySQL,
	} {
		t.Run(name, func(t *testing.T) {
			urls := []string{fresh(t), fresh(t)}
			f := pitch(t, urls...)
			want := func(b *txnv1.Branch, kind kind, runs int) {
				t.Helper()
				reply, o := f.call(b)
				if o.GetKind() != kind || f.runs(b.GetGid()) != runs {
					t.Errorf("%v of %s: got %v, %d; want %v, %d", b.GetOp(), b.GetGid(), o, f.runs(b.GetGid()), kind, runs)
				}
				if r, ok := reply.(*fairv1.ReserveResponse); ok && r.GetShelf() != "shelf of "+b.GetGid() {
					t.Errorf("%v of %s: answered %v", b.GetOp(), b.GetGid(), r)
				}
			}
			want(branch("a", action), succeeded, 1)
			want(branch("b", compensate), succeeded, 0) // nothing to undo: barred
			want(branch("c", confirm), succeeded, 100)
			for _, id := range []string{"a", "b", "c"} {
				f.move(id, urls...)
			}
			want(branch("a", action), succeeded, 1)
			want(branch("b", action), failure, 0)
			want(branch("c", confirm), succeeded, 100)
			want(branch("a", compensate), succeeded, 11)
			f.move("a", urls...)
			want(branch("a", compensate), succeeded, 11)
			want(branch("d", prepare), failure, 0) // which would hold the shard
		})
	}
}
