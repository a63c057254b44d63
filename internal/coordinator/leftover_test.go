package coordinator

import (
	"errors"
	"testing"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
)

// Who wants several locks and gives up leaves the keys behind that were free. Where each
// order is a key they would be ever more.
func TestKeysThatNobodyWantsAreForgotten(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		h, reached, goOn := holding()
		w.people.on("a", h)
		n.submit(locked(chain("holder", "a"), txnv1.Lock_POLICY_QUEUE, "held"))
		<-reached
		_, err := n.Submit(t.Context(), &txnv1.SubmitRequest{Saga: locked(chain("impatient", "b"), txnv1.Lock_POLICY_FAIL_FAST, "free", "held")})
		if !errors.Is(err, reason(txnv1.Reason_LOCK_HELD)) {
			t.Fatal(err)
		}
		n.submit(locked(chain("waits", "b"), txnv1.Lock_POLICY_QUEUE, "also free", "held"))
		keys := func() (list []string) {
			t.Helper()
			list, err := readGids(t.Context(), n.engine.db, `SELECT lock_key FROM warren_txn_lock ORDER BY lock_key`)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		if err := n.engine.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keys(); len(got) != 2 || got[0] != "also free" || got[1] != "held" {
			t.Errorf("there are the keys %q; want the one that is held, and the one that is waited for", got)
		}
		close(goOn)
		for _, gid := range []string{"holder", "waits"} {
			n.wants(gid, txnv1.State_STATE_SUCCEEDED)
		}
		if err := n.engine.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := keys(); len(got) > 0 {
			t.Errorf("there are the keys %q; want none", got)
		}
	})
}

// What cannot be read keeps nothing else from being found again.
func TestDamagedTransactionHidesNoOther(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{}, entry("txn.scan", "1h"))
	h, reached, goOn := holding()
	w.people.on("a", h)
	for _, gid := range []string{"damaged", "sound"} {
		n.submit(chain(gid, "a"))
		<-reached
		lost := n.engine.get(gid)
		lost.mu.Lock()
		lost.drop()
		lost.mu.Unlock()
	}
	if _, err := n.engine.db.Exec(t.Context(), `UPDATE warren_txn SET definition = ? WHERE gid = ?`, []byte{0xff}, "damaged"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := n.engine.scan(t.Context(), map[string]seen{}); !errors.Is(err, reason(txnv1.Reason_BAD_TRANSACTION)) {
		t.Errorf("what cannot be read is not told: %v", err)
	}
	n.wants("sound", txnv1.State_STATE_SUCCEEDED)
}
