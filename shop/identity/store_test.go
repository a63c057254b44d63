package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

// added keeps a user.
func added(t *testing.T, s *users, u user) user {
	t.Helper()
	if err := s.create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

func sameUser(a, b user) bool {
	return a.id == b.id && a.email == b.email && a.name == b.name && a.password == b.password &&
		slices.Equal(a.roles, b.roles) && a.created.Equal(b.created) && a.updated.Equal(b.updated)
}

func TestUsersAreKept(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := newUser("Zoë@example.com", "Zoë 👩‍💻", "hash", at.Add(123456789), roleCustomer, roleStaff)
		added(t, s, u)
		for name, get := range map[string]func() (user, error){
			"by id":      func() (user, error) { return s.get(t.Context(), u.id) },
			"by address": func() (user, error) { return s.byEmail(t.Context(), " zoe\u0308@EXAMPLE.com ") },
		} {
			if got, err := get(); err != nil || !sameUser(got, u) {
				t.Errorf("%s: got %+v, %v; want %+v", name, got, err, u)
			}
		}
		for _, other := range []string{"zoe@example.com", "' OR '1'='1", ""} {
			if _, err := s.byEmail(t.Context(), other); !errors.Is(err, errNoUser) {
				t.Errorf("%q: %v", other, err)
			}
		}
		if err := s.create(t.Context(), newUser("ZOË@example.com", "", "hash", at, roleCustomer)); !errors.Is(err, rpc.Reason(identityv1.Reason_EMAIL_TAKEN)) {
			t.Errorf("the same address: %v", err)
		}
		got, err := s.rename(t.Context(), u.id, "New", at.Add(time.Hour))
		if err != nil || got.name != "New" || !got.updated.Equal(at.Add(time.Hour)) || !got.created.Equal(u.created) {
			t.Errorf("renamed: %+v, %v", got, err)
		}
		if _, err := s.rename(t.Context(), "nobody", "New", at); !errors.Is(err, errNoUser) {
			t.Errorf("rename nobody: %v", err)
		}
	})
}

func TestOfRegistrationsAtOnceOneWins(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		errs := atOnce(8, func(n int) error {
			email := []string{"ada@example.com", "ADA@example.com"}[n%2]
			return s.create(t.Context(), newUser(email, "", "hash", at, roleCustomer))
		})
		taken := func(err error) bool { return errors.Is(err, rpc.Reason(identityv1.Reason_EMAIL_TAKEN)) }
		if n := won(t, errs, taken); n != 1 {
			t.Errorf("%d registered", n)
		}
	})
}

func TestAHashIsRenewedUnlessThePasswordChanged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := added(t, s, ada(1))
		for _, c := range []struct{ old, renewed, want string }{{"hash", "hash2", "hash2"}, {"hash", "hash3", "hash2"}} {
			u.password = c.old
			if err := s.renewPassword(t.Context(), u, c.renewed); err != nil {
				t.Fatal(err)
			}
			if got, err := s.get(t.Context(), u.id); err != nil || got.password != c.want {
				t.Errorf("got %s, %v; want %s", got.password, err, c.want)
			}
		}
	})
}

func TestUsersAreListedInTheirOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		var all []user
		for n := range 7 {
			u := ada(n / 2) // two at the same moment
			u.email = fmt.Sprint(n, u.email)
			if n%3 == 0 {
				u.roles = []string{roleCustomer, roleStaff}
			}
			all = append(all, added(t, s, u))
		}
		var got []string
		after := place{}
		for {
			page, err := s.list(t.Context(), "", after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				got = append(got, u.id)
			}
			last := page[len(page)-1]
			after = place{last.created.UnixMicro(), last.id}
		}
		slices.SortFunc(all, func(a, b user) int {
			if c := a.created.Compare(b.created); c != 0 {
				return c
			}
			return map[bool]int{true: -1, false: 1}[a.id < b.id]
		})
		want := make([]string, len(all))
		for i, u := range all {
			want[i] = u.id
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v; want %v", got, want)
		}
		for role, n := range map[string]int{roleStaff: 3, roleAdmin: 0, roleCustomer: 7} {
			if page, err := s.list(t.Context(), role, place{}, 10); err != nil || len(page) != n {
				t.Errorf("%s: %d, %v", role, len(page), err)
			}
		}
		if _, err := s.list(t.Context(), "x' OR 1=1", place{}, 1); !blames(err, "role") {
			t.Errorf("got %v", err)
		}
	})
}

const (
	month = 30 * 24 * time.Hour
	many  = 1000 // refreshes
)

func opens(t *testing.T, s *users, u user) grant {
	t.Helper()
	g, err := s.openSession(t.Context(), u, at, month)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func isBadToken(err error) bool {
	return errors.Is(err, rpc.Reason(identityv1.Reason_BAD_REFRESH_TOKEN))
}

func isReuse(err error) bool {
	_, ok := errors.AsType[*reused](err)
	return ok
}

func TestRefreshTokensRotate(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := added(t, s, ada(1))
		first := opens(t, s, u)
		second, err := s.refresh(t.Context(), first.token, at.Add(time.Hour), month, many)
		if err != nil || second.token == first.token || second.session != first.session || second.user.id != u.id || !second.expires.Equal(at.Add(time.Hour+month)) {
			t.Fatalf("got %+v, %v", second, err)
		}
		if _, err := s.refresh(t.Context(), second.token, at.Add(2*time.Hour), month, many); err != nil {
			t.Errorf("the next one: %v", err)
		}
		for _, bad := range []string{"", "unknown", first.session, hashToken(first.token)} {
			if _, err := s.refresh(t.Context(), bad, at, month, many); !isBadToken(err) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestAStolenRefreshTokenEndsItsSessionOnly(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := added(t, s, ada(1))
		stolen, other := opens(t, s, u), opens(t, s, u)
		next, err := s.refresh(t.Context(), stolen.token, at, month, many)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.refresh(t.Context(), stolen.token, at.Add(time.Minute), month, many)
		if theft, ok := errors.AsType[*reused](err); !ok || theft.userID != u.id || theft.session != stolen.session {
			t.Fatalf("used again: %v", err)
		}
		for name, token := range map[string]string{"the newest": next.token, "the stolen one": stolen.token} {
			if _, err := s.refresh(t.Context(), token, at.Add(time.Minute), month, many); !isBadToken(err) {
				t.Errorf("%s after the theft: %v", name, err)
			}
		}
		if _, err := s.refresh(t.Context(), other.token, at.Add(time.Minute), month, many); err != nil {
			t.Errorf("another session: %v", err)
		}
	})
}

func TestOfRefreshesAtOnceOneWinsAndTheSessionEnds(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		g := opens(t, s, added(t, s, ada(1)))
		errs := atOnce(6, func(int) error {
			_, err := s.refresh(t.Context(), g.token, at, month, many)
			return err
		})
		lost := func(err error) bool { return isReuse(err) || isBadToken(err) }
		if n := won(t, errs, lost); n != 1 {
			t.Errorf("%d refreshed", n)
		}
		var reason string
		if err := s.db.QueryRow(t.Context(), `SELECT end_reason FROM sessions WHERE id = ?`, g.session).Scan(&reason); err != nil || reason != endedByReuse {
			t.Errorf("the session ended because %q, %v", reason, err)
		}
	})
}

// A client that refreshes without end cannot fill the table, and a thief cannot
// make the service forget that the token its owner holds was used.
func TestAnEndlessRefreshEndsItsSession(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := added(t, s, ada(1))
		g, other := opens(t, s, u), opens(t, s, u)
		owners := g.token
		var err error
		for range 3 {
			if g, err = s.refresh(t.Context(), g.token, at, month, 3); err != nil {
				t.Fatal(err)
			}
		}
		session := g.session
		if _, err := s.refresh(t.Context(), g.token, at, month, 3); !isBadToken(err) {
			t.Errorf("one too many: %v", err)
		}
		var reason string
		if err := s.db.QueryRow(t.Context(), `SELECT end_reason FROM sessions WHERE id = ?`, session).Scan(&reason); err != nil || reason != endedByLoop {
			t.Errorf("the session ended because %q, %v", reason, err)
		}
		if _, err := s.refresh(t.Context(), owners, at, month, 3); !isBadToken(err) {
			t.Errorf("the first token: %v", err)
		}
		if _, err := s.refresh(t.Context(), other.token, at, month, 3); err != nil {
			t.Errorf("another session: %v", err)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u, thief := added(t, s, ada(1)), added(t, s, ada(2))
		expired, signedOut := opens(t, s, u), opens(t, s, u)
		if _, err := s.refresh(t.Context(), expired.token, at.Add(month), month, many); !isBadToken(err) {
			t.Errorf("expired: %v", err)
		}
		if err := s.signOut(t.Context(), thief.id, signedOut.session, at); err != nil {
			t.Error(err)
		}
		next, err := s.refresh(t.Context(), signedOut.token, at, month, many)
		if err != nil {
			t.Fatalf("another user ended the session: %v", err)
		}
		for range 2 {
			if err := s.signOut(t.Context(), u.id, signedOut.session, at); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.refresh(t.Context(), next.token, at, month, many); !isBadToken(err) {
			t.Errorf("signed out: %v", err)
		}
	})
}

func TestRefreshTakesTheRolesOfNow(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		admin, u := newUser("root@example.com", "", "hash", at, roleAdmin), ada(1)
		u.roles = []string{roleCustomer, roleStaff}
		added(t, s, admin)
		g := opens(t, s, added(t, s, u))
		if _, _, err := s.setRoles(t.Context(), admin.id, u.id, []string{roleCustomer}, at); err != nil {
			t.Fatal(err)
		}
		if got, err := s.refresh(t.Context(), g.token, at, month, many); err != nil || got.user.has(roleStaff) {
			t.Errorf("got %v, %v", got.user.roles, err)
		}
	})
}

func TestRolesAreAnAdminsToGive(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		root, u := newUser("root@example.com", "", "hash", at, roleAdmin), ada(1)
		added(t, s, root)
		added(t, s, u)
		for name, by := range map[string]string{"oneself": u.id, "nobody": ""} {
			if _, _, err := s.setRoles(t.Context(), by, u.id, []string{roleAdmin}, at); warrentest.Code(err).String() != "PermissionDenied" {
				t.Errorf("%s: %v", name, err)
			}
		}
		before, after, err := s.setRoles(t.Context(), root.id, u.id, []string{roleStaff}, at.Add(time.Hour))
		if err != nil || !before.has(roleCustomer) || after.has(roleCustomer) || !after.has(roleStaff) {
			t.Errorf("got %v, %v, %v", before.roles, after.roles, err)
		}
		if got, err := s.get(t.Context(), u.id); err != nil || !sameUser(got, after) {
			t.Errorf("kept %+v, %v; want %+v", got, err, after)
		}
		if _, _, err := s.setRoles(t.Context(), root.id, "nobody", []string{roleStaff}, at); !errors.Is(err, errNoUser) {
			t.Errorf("nobody: %v", err)
		}
		if _, _, err := s.setRoles(t.Context(), root.id, root.id, []string{roleCustomer}, at); !errors.Is(err, rpc.Reason(identityv1.Reason_LAST_ADMIN)) {
			t.Errorf("the last admin: %v", err)
		}
	})
}

func TestAdminsWhoDismissOneAnotherLeaveOne(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		admins := []user{newUser("a@example.com", "", "hash", at, roleAdmin), newUser("b@example.com", "", "hash", at, roleAdmin)}
		for _, u := range admins {
			added(t, s, u)
		}
		errs := atOnce(2, func(n int) error {
			_, _, err := s.setRoles(t.Context(), admins[n].id, admins[1-n].id, []string{roleCustomer}, at)
			return err
		})
		if n := won(t, errs, func(err error) bool { return warrentest.Code(err).String() == "PermissionDenied" }); n != 1 {
			t.Errorf("%d were dismissed", n)
		}
		if left, err := s.list(t.Context(), roleAdmin, place{}, 10); err != nil || len(left) != 1 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

func TestAttemptsAreCounted(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		try := func(account string, now time.Time) int64 {
			n, ends, err := s.attempt(t.Context(), account, now, time.Minute)
			if err != nil || ends.Before(now) || ends.After(now.Add(time.Minute)) {
				t.Errorf("%s: ends %v, %v", account, ends, err)
			}
			return n
		}
		for n := range int64(3) {
			if got := try("ada", at.Add(time.Duration(n)*time.Second)); got != n+1 {
				t.Errorf("got %d; want %d", got, n+1)
			}
		}
		if got := try("bob", at); got != 1 {
			t.Errorf("another account: %d", got)
		}
		if err := s.forgive(t.Context(), "ada", "door"); err != nil {
			t.Error(err)
		}
		if got := try("ada", at.Add(59*time.Second)); got != 3 {
			t.Errorf("after one was forgiven: %d", got)
		}
		if got := try("ada", at.Add(60*time.Second)); got != 1 {
			t.Errorf("in the next window: %d", got)
		}
		if got := try("ada", at.Add(61*time.Second)); got != 2 {
			t.Errorf("and then: %d", got)
		}
		try("door", at.Add(61*time.Second))
		if err := s.succeeded(t.Context(), "ada", "door"); err != nil {
			t.Error(err)
		}
		if got := try("door", at.Add(62*time.Second)); got != 1 {
			t.Errorf("at the same door, after a success: %d", got)
		}
		if got := try("ada", at.Add(62*time.Second)); got != 2 {
			t.Errorf("of the account, after a success: %d", got)
		}
	})
}

func TestAttemptsAtOnceAllCount(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		counts := make([]int64, 12)
		errs := atOnce(len(counts), func(n int) (err error) {
			counts[n], _, err = s.attempt(t.Context(), "ada", at, time.Minute)
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		slices.Sort(counts)
		for i, n := range counts {
			if n != int64(i+1) {
				t.Fatalf("got %v", counts)
			}
		}
	})
}

func TestWhatNobodyCanUseIsRemoved(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		u := added(t, s, ada(1))
		old, alive := opens(t, s, u), opens(t, s, u)
		if _, err := s.refresh(t.Context(), old.token, at, time.Hour, many); err != nil {
			t.Fatal(err)
		}
		alive, err := s.refresh(t.Context(), alive.token, at.Add(time.Hour), 2*month, many)
		if err != nil {
			t.Fatal(err)
		}
		for _, account := range []string{"a", "b"} {
			if _, _, err := s.attempt(t.Context(), account, at, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.clean(t.Context(), at.Add(month+time.Minute), time.Minute); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]int64{
			`SELECT COUNT(*) FROM refresh_tokens`: 1, `SELECT COUNT(*) FROM sessions`: 1, `SELECT COUNT(*) FROM attempts`: 0, `SELECT COUNT(*) FROM users`: 1,
		} {
			var got int64
			if err := s.db.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %d, %v; want %d", query, got, err, want)
			}
		}
		if _, err := s.refresh(t.Context(), alive.token, at.Add(month+time.Minute), month, many); err != nil {
			t.Errorf("the session that lives: %v", err)
		}
	})
}

func TestInstancesAgreeOnTheKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		instances := []*users{opened(t, address), opened(t, address), opened(t, address)}
		const age = 24 * time.Hour
		rotate := func(now time.Time) keySet {
			t.Helper()
			seen := make([]keySet, len(instances))
			errs := atOnce(len(instances), func(n int) (err error) {
				seen[n], err = instances[n].rotateKeys(t.Context(), now, age)
				return err
			})
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			for _, keys := range seen[1:] {
				if !slices.EqualFunc(keys, seen[0], func(a, b signingKey) bool {
					return a.id == b.id && a.private.Equal(b.private) && a.active.Equal(b.active)
				}) {
					t.Fatalf("at %v instances have other keys: %d and %d", now, len(keys), len(seen[0]))
				}
			}
			return seen[0]
		}
		first := rotate(at)
		if len(first) != 1 || len(rotate(at.Add(time.Hour))) != 1 {
			t.Fatalf("got %d keys", len(first))
		}
		both := rotate(at.Add(age))
		if len(both) != 2 || both[0].id != first[0].id {
			t.Fatalf("got %d keys", len(both))
		}
		if k, _ := both.signing(at.Add(age)); k.id != first[0].id {
			t.Error("the new key signs before everybody knows it")
		}
		later := rotate(at.Add(age + keyLead + keyOverlap + time.Second))
		if len(later) != 1 || later[0].id != both[1].id {
			t.Errorf("got %d keys", len(later))
		}
	})
}

func TestADamagedKeyIsNamed(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	if _, err := s.db.Exec(t.Context(), `INSERT INTO signing_keys (id, private_key, create_time, active_time) VALUES ('k1', 'x', ?, ?)`, at, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.rotateKeys(t.Context(), at, time.Hour); err == nil || !strings.Contains(err.Error(), "k1") {
		t.Errorf("got %v", err)
	}
}

func TestOneFirstAdmin(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		made := make([]bool, 4)
		errs := atOnce(len(made), func(n int) (err error) {
			made[n], err = s.createFirst(t.Context(), newUser(fmt.Sprintf("root%d@example.com", n), "", "hash", at, roleAdmin))
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if admins, err := s.list(t.Context(), roleAdmin, place{}, 10); err != nil || len(admins) != 1 {
			t.Errorf("admins: %v, %v", admins, err)
		}
		if there, err := s.hasAdmin(t.Context()); !there || err != nil {
			t.Errorf("got %v, %v", there, err)
		}
	})
}

func TestErrorsOfTheDatabaseAreTold(t *testing.T) {
	s := opened(t, storetest.SQLite(t))
	u := added(t, s, ada(1))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	calls := map[string]func() error{
		"get":     func() error { _, err := s.get(ctx, u.id); return err },
		"email":   func() error { _, err := s.byEmail(ctx, u.email); return err },
		"create":  func() error { return s.create(ctx, ada(2)) },
		"list":    func() error { _, err := s.list(ctx, "", place{}, 1); return err },
		"rename":  func() error { _, err := s.rename(ctx, u.id, "x", at); return err },
		"renew":   func() error { return s.renewPassword(ctx, u, "x") },
		"open":    func() error { _, err := s.openSession(ctx, u, at, month); return err },
		"refresh": func() error { _, err := s.refresh(ctx, "x", at, month, many); return err },
		"out":     func() error { return s.signOut(ctx, u.id, "x", at) },
		"roles":   func() error { _, _, err := s.setRoles(ctx, u.id, u.id, nil, at); return err },
		"attempt": func() error { _, _, err := s.attempt(ctx, "x", at, time.Minute); return err },
		"success": func() error { return s.succeeded(ctx, "x", "y") },
		"clean":   func() error { return s.clean(ctx, at, time.Minute) },
		"keys":    func() error { _, err := s.rotateKeys(ctx, at, month); return err },
		"admin":   func() error { _, err := s.hasAdmin(ctx); return err },
		"first":   func() error { _, err := s.createFirst(ctx, u); return err },
	}
	for name, call := range calls {
		// Nobody may take an outage for "no such user" or "wrong token".
		if err := call(); err == nil || errors.Is(err, errNoUser) || isBadToken(err) || errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// told returns the keys of the events of new users that were published.
func told(t *testing.T, s *users) []string {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT event_key FROM warren_outbox WHERE topic = 'shop.identity.v1.UserRegistered' ORDER BY event_key`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhoRegistersIsToldOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *users) {
		root := newUser("root@example.com", "", "hash", at, roleAdmin)
		if created, err := s.createFirst(t.Context(), root); err != nil || !created {
			t.Fatal(created, err)
		}
		ids := []string{added(t, s, ada(1)).id, added(t, s, ada(2)).id, root.id}
		if err := s.create(t.Context(), newUser("ADA1@example.com", "", "hash", at, roleCustomer)); err == nil {
			t.Fatal("an address was taken twice")
		}
		slices.Sort(ids)
		if got := told(t, s); !slices.Equal(got, ids) {
			t.Errorf("told of %v; want %v", got, ids)
		}
	})
}
