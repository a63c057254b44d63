package coordinator

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
)

// steps are the writes of a saga that meets nothing unusual.
func steps(gid string) []*write {
	begun := row{
		gid: gid, name: "checkout", pattern: txnv1.Pattern_PATTERN_SAGA, token: "t", digest: "d", definition: []byte("definition"), created: 5, updated: 6,
		trace: "00-1-1-01", owner: "me", epoch: 1, state: txnv1.State_STATE_RUNNING, deadline: 9,
	}
	ended := begun
	ended.state, ended.owner, ended.updated, ended.ended, ended.definition = txnv1.State_STATE_SUCCEEDED, "", 8, 7, nil
	branch := branchRow{gid: gid, name: "pay", position: 1, state: txnv1.BranchState_BRANCH_STATE_DONE, response: []byte{0, 255}, did: span{3, 4}}
	return []*write{
		{gid: gid, epoch: 1, create: true, row: &begun},
		{gid: gid, epoch: 1, branches: []branchRow{branch}},
		{gid: gid, epoch: 1, row: &ended},
	}
}

// TestStatementsWriteTheSame: what the usual statement leaves out, it knows.
func TestStatementsWriteTheSame(t *testing.T) {
	db, err := store.Open(t.Context(), storetest.PostgreSQL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), Migrations); err != nil {
		t.Fatal(err)
	}
	var found [][]string
	for i, s := range []*statement{usual, everything} {
		gid := fmt.Sprintf("g%d", i)
		for _, item := range steps(gid) {
			batch := []*write{item}
			if !s.fits(batch) {
				t.Fatalf("%+v is not written by\n%s", item, s.text)
			}
			ours, err := readGids(t.Context(), db, s.text, s.arguments(batch)...)
			if err != nil || !slices.Equal(ours, []string{gid}) {
				t.Fatalf("%v, %v", ours, err)
			}
		}
		found = append(found, read(t, db, gid))
	}
	if !slices.Equal(found[0], found[1]) || len(found[0]) != 2 {
		t.Errorf("the usual statement wrote\n%s\nand the other one\n%s", strings.Join(found[0], "\n"), strings.Join(found[1], "\n"))
	}
}

// read returns all rows of a transaction, without its gid.
func read(t *testing.T, db *store.DB, gid string) []string {
	t.Helper()
	scan := func(scan func(...any) error) (s string, err error) { return s, scan(&s) }
	list, err := store.Collect(context.WithoutCancel(t.Context()), db, scan,
		`SELECT CAST(to_jsonb(x) - 'gid' AS TEXT) FROM warren_txn x WHERE gid = ? UNION ALL SELECT CAST(to_jsonb(x) - 'gid' AS TEXT) FROM warren_txn_branch x WHERE gid = ?`, gid, gid)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestUnusualBatches: one value that the usual statement does not know of is enough.
func TestUnusualBatches(t *testing.T) {
	unusual := func(name string, change func(w []*write)) {
		w := steps("g")
		change(w)
		if usual.fits(w) {
			t.Errorf("%s: taken for usual", name)
		}
		if !everything.fits(w) {
			t.Errorf("%s: written by no statement", name)
		}
	}
	if !usual.fits(steps("g")) {
		t.Fatal("what is usual is not")
	}
	unusual("an attempt", func(w []*write) { w[1].attempts = []attemptRow{{gid: "g"}} })
	unusual("taken over", func(w []*write) { w[0].row.epoch = 2 })
	unusual("turned back", func(w []*write) { w[2].row.state = txnv1.State_STATE_UNDOING })
	unusual("still owned", func(w []*write) { w[2].row.owner = "me" })
	for _, r := range []func(*row){
		func(r *row) { r.parked = true }, func(r *row) { r.reason = "x" }, func(r *row) { r.reasonBranch = "x" }, func(r *row) { r.reasonCode = 1 },
		func(r *row) { r.reasonStatus = []byte{1} }, func(r *row) { r.parkReason = "x" }, func(r *row) { r.parkBranch = "x" },
	} {
		unusual("a beginning", func(w []*write) { r(w[0].row) })
		unusual("an end", func(w []*write) { r(w[2].row) })
	}
	for _, b := range []func(*branchRow){
		func(b *branchRow) { b.state = txnv1.BranchState_BRANCH_STATE_UNDONE }, func(b *branchRow) { b.attempts = 1 }, func(b *branchRow) { b.stuck = true },
		func(b *branchRow) { b.due = 1 }, func(b *branchRow) { b.error = "x" }, func(b *branchRow) { b.definition = []byte{1} },
		func(b *branchRow) { b.undid.at = 1 }, func(b *branchRow) { b.undid.took = 1 },
	} {
		unusual("a branch", func(w []*write) { b(&w[1].branches[0]) })
	}
}

// TestColumnsAreAllThere: a row has as many columns as the structure has values.
func TestColumnsAreAllThere(t *testing.T) {
	for _, c := range []struct {
		of   any
		have int
		more int // columns that are made of others
	}{
		{row{}, len(createTable.all), 1},         // active
		{branchRow{}, len(branchTable.all), 2},   // the two halves of each span
		{attemptRow{}, len(attemptTable.all), 3}, // four of the outcome
		{actionRow{}, len(actionTable.all), 0},
	} {
		if want := reflect.TypeOf(c.of).NumField() + c.more; c.have != want {
			t.Errorf("%T has %d columns, %d wanted", c.of, c.have, want)
		}
	}
}
