package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/store/storetest"
)

// Every call is on the timeline, with its time: also one that succeeded at first.
func TestTimelineOfEveryAttempt(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		var tries atomic.Int64
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) {
			if tries.Add(1) == 1 {
				return nil, errors.New("away")
			}
			return nil, nil
		})
		w.people.on("c", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no") })
		before := time.Now()
		n.submit(chain("g", "a", "b", "c"))
		n.wants("g", txnv1.State_STATE_FAILED)
		shown, err := n.ops.Show(cli(t.Context()), &txnv1.ShowRequest{Gid: "g"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		last := before.Add(-time.Minute) // the database tells the time
		for _, a := range shown.GetAttempts() {
			got = append(got, fmt.Sprint(opName(a.GetOp()), " ", a.GetBranch(), " ", a.GetNumber(), " ", kindName(a.GetOutcome().GetKind())))
			start, took := a.GetStartTime().AsTime(), a.GetTook().AsDuration()
			if start.Before(last) || start.After(time.Now().Add(time.Minute)) || took <= 0 || took > time.Minute {
				t.Errorf("%s began %v and took %v", got[len(got)-1], start, took)
			}
			last = start
		}
		want := []string{"action a 1 ok", "action b 1 retry", "action b 2 ok", "action c 1 failure", "compensate b 1 ok", "compensate a 1 ok"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// Why it was parked is told while it is, and does not take the place of why it
// is turned back.
func TestReasonOfBeingParkedGoesWithIt(t *testing.T) {
	each(t, func(w *world) {
		n := w.start(Options{})
		park := func(gid string) {
			t.Helper()
			v, err := n.ops.Park(cli(t.Context()), &txnv1.ParkRequest{Gid: gid, By: by})
			if err != nil || v.GetReason() != "parked by an operator: because" {
				t.Fatalf("%v, %v", v, err)
			}
		}
		unpark := func(gid string) {
			t.Helper()
			if _, err := n.ops.Unpark(cli(t.Context()), &txnv1.UnparkRequest{Gid: gid, By: by}); err != nil {
				t.Fatal(err)
			}
		}
		h, reached, goOn := holding()
		w.people.on("a", h)
		n.submit(chain("forward", "a"))
		<-reached
		park("forward")
		close(goOn)
		unpark("forward")
		if v := n.wants("forward", txnv1.State_STATE_SUCCEEDED); v.GetReason() != "" {
			t.Errorf("it succeeded because %q", v.GetReason())
		}
		h, reached, goOn = holding()
		w.people.on("b", func(context.Context, *txnv1.Branch, []byte) ([]byte, error) { return nil, failure("no more of it") })
		w.people.on("a", nil)
		w.people.on("una", h)
		n.submit(chain("back", "a", "b"))
		<-reached
		park("back")
		close(goOn)
		unpark("back")
		if v := n.wants("back", txnv1.State_STATE_FAILED); v.GetReason() != "no more of it" || v.GetReasonBranch() != "b" {
			t.Errorf("it failed because of %q, %q", v.GetReasonBranch(), v.GetReason())
		}
		for _, c := range w.people.seen {
			if strings.HasSuffix(c.method, "/una") && c.branch.GetReason() != "no more of it" {
				t.Errorf("una was told %q", c.branch.GetReason())
			}
		}
	})
}

// A transaction that the release before parked has why in the one place that it
// knew; it loses that when it succeeds.
func TestParkedByTheReleaseBefore(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	n := w.start(Options{})
	h, reached, goOn := holding()
	w.people.on("a", h)
	n.submit(chain("g", "a"))
	<-reached
	if _, err := n.ops.Park(cli(t.Context()), &txnv1.ParkRequest{Gid: "g", By: by}); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	w.until("the coordinator to let go of it", func() bool { return n.engine.get("g") == nil })
	if _, err := w.open("older").Exec(t.Context(), `UPDATE warren_txn SET reason = park_reason, park_reason = NULL`); err != nil {
		t.Fatal(err)
	}
	v, err := n.Get(t.Context(), &txnv1.GetRequest{Gid: "g"})
	if err != nil || v.GetReason() != "parked by an operator: because" {
		t.Errorf("%v, %v", v, err)
	}
	if _, err := n.ops.Unpark(cli(t.Context()), &txnv1.UnparkRequest{Gid: "g", By: by}); err != nil {
		t.Fatal(err)
	}
	if v := n.wants("g", txnv1.State_STATE_SUCCEEDED); v.GetReason() != "" {
		t.Errorf("it succeeded because %q", v.GetReason())
	}
}
