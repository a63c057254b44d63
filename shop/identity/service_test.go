package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/gowarren/warren/api/warren/auth/v1"
	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	"github.com/gowarren/warren/store/storetest"
	"github.com/gowarren/warren/warrentest"
)

func TestFromRegistrationToSignOut(t *testing.T) {
	s := served(t)
	u := s.register(t, "Ada@Example.com")
	if u.GetEmail() != "Ada@example.com" || !slices.Equal(u.GetRoles(), []string{"customer"}) || u.GetId() == "" {
		t.Errorf("registered %v", u)
	}
	session := s.signIn(t, " ADA@example.com")
	if !proto.Equal(session.GetUser(), u) || time.Until(session.GetAccessExpireTime().AsTime()) > 10*time.Minute {
		t.Errorf("signed in %v", session)
	}
	me := as(t, session.GetAccessToken())
	if got, err := s.GetProfile(me, &identityv1.GetProfileRequest{}); err != nil || !proto.Equal(got, u) {
		t.Errorf("profile: %v, %v", got, err)
	}
	if got, err := s.UpdateProfile(me, &identityv1.UpdateProfileRequest{DisplayName: new(" Ada  L. ")}); err != nil || got.GetDisplayName() != "Ada L." {
		t.Errorf("updated: %v, %v", got, err)
	}
	if got, err := s.UpdateProfile(me, &identityv1.UpdateProfileRequest{}); err != nil || got.GetDisplayName() != "Ada L." {
		t.Errorf("updated nothing: %v, %v", got, err)
	}
	if got, err := s.UpdateProfile(me, &identityv1.UpdateProfileRequest{DisplayName: new("")}); err != nil || got.GetDisplayName() != "" {
		t.Errorf("emptied: %v, %v", got, err)
	}
	next, err := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: session.GetRefreshToken()})
	if err != nil || next.GetRefreshToken() == session.GetRefreshToken() || next.GetUser().GetId() != u.GetId() {
		t.Fatalf("refreshed: %v, %v", next, err)
	}
	for range 2 { // ending it again is no error
		if _, err := s.SignOut(as(t, next.GetAccessToken()), &identityv1.SignOutRequest{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: next.GetRefreshToken()}); !warrentest.Refused(err, identityv1.Reason_BAD_REFRESH_TOKEN) || warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("after the sign-out: %v", err)
	}
}

func TestAStolenTokenOverTheWire(t *testing.T) {
	s := served(t)
	s.register(t, "ada@example.com")
	stolen := s.signIn(t, "ada@example.com").GetRefreshToken()
	next, err := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: stolen})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: stolen}); !warrentest.Refused(err, identityv1.Reason_REFRESH_TOKEN_REUSED) {
		t.Errorf("used again: %v", err)
	}
	if _, err := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: next.GetRefreshToken()}); !warrentest.Refused(err, identityv1.Reason_BAD_REFRESH_TOKEN) {
		t.Errorf("the newest one: %v", err)
	}
	log := s.logs.String()
	if !strings.Contains(log, "refresh token reused") || strings.Contains(log, stolen) || strings.Contains(log, next.GetRefreshToken()) {
		t.Errorf("the log says:\n%s", log)
	}
}

// Who is unknown and who has another password get one answer, after the same
// work: hashes are counted, as a clock would only tell of the machine.
func TestNobodyLearnsWhoIsRegistered(t *testing.T) {
	s := served(t)
	s.register(t, "ada@example.com")
	before := s.service.hasher.computed.Load()
	try := func(email string) *rpc.Error {
		t.Helper()
		_, err := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: email, Password: "wrong password"})
		if !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) || warrentest.Code(err) != codes.Unauthenticated {
			t.Fatalf("%s: %v", email, err)
		}
		after := s.service.hasher.computed.Load()
		if after-before != 1 {
			t.Errorf("%s: %d hashes were computed", email, after-before)
		}
		before = after
		return rpc.FromError(err)
	}
	known, unknown, nonsense := try("ada@example.com"), try("bob@example.com"), try("no address at all")
	for name, other := range map[string]*rpc.Error{"unknown": unknown, "nonsense": nonsense} {
		if other.Error() != known.Error() || other.Message != known.Message || len(other.Metadata) != len(known.Metadata) || other.RetryAfter != known.RetryAfter {
			t.Errorf("%s: %+v; want %+v", name, other, known)
		}
	}
}

func TestAnAccountIsHeldBackWhetherItExistsOrNot(t *testing.T) {
	for _, email := range []string{"ada@example.com", "bob@example.com"} {
		s := served(t, "identity.sign_in.attempts", "3", "identity.sign_in.window", "1m")
		s.register(t, "ada@example.com")
		try := func(password string) error {
			_, err := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: email, Password: password})
			return err
		}
		for range 3 {
			if err := try("wrong password"); !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) {
				t.Fatalf("%s: %v", email, err)
			}
		}
		before := s.service.hasher.computed.Load()
		err := try(password) // the right one comes too late
		if !warrentest.Refused(err, identityv1.Reason_TOO_MANY_SIGN_INS) || warrentest.Code(err) != codes.ResourceExhausted {
			t.Errorf("%s: %v", email, err)
		}
		if wait := rpc.FromError(err).RetryAfter; wait < time.Second || wait > time.Minute {
			t.Errorf("%s: retry after %v", email, wait)
		}
		if s.service.hasher.computed.Load() != before {
			t.Errorf("%s: a password was hashed all the same", email)
		}
		s.clock.advance(time.Minute)
		if err := try(password); email == "ada@example.com" && err != nil || email != "ada@example.com" && !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) {
			t.Errorf("%s: in the next window: %v", email, err)
		}
	}
}

// Who guesses closes the door that he stands at, not that of the owner.
func TestStrangersDoNotCloseAnAccount(t *testing.T) {
	s := served(t, "identity.sign_in.attempts", "3", "identity.sign_in.account_attempts", "9")
	s.register(t, "ada@example.com")
	try := func(ctx context.Context, password string) error {
		_, err := s.SignIn(ctx, &identityv1.SignInRequest{Email: "ada@example.com", Password: password})
		return err
	}
	guess := func(address string, times int) (refused int) {
		t.Helper()
		for range times {
			err := try(s.from(t, address), "wrong password")
			if warrentest.Refused(err, identityv1.Reason_TOO_MANY_SIGN_INS) {
				refused++
			} else if !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) {
				t.Fatal(err)
			}
		}
		return refused
	}
	if refused := guess("192.0.2.1", 20); refused != 17 {
		t.Errorf("one address: %d of 20 refused; want 17", refused)
	}
	if err := try(s.from(t, "192.0.2.1"), password); !warrentest.Refused(err, identityv1.Reason_TOO_MANY_SIGN_INS) {
		t.Errorf("the guesser's address: %v", err)
	}
	for range 12 { // signing in does not add up
		if err := try(s.from(t, "198.51.100.7"), password); err != nil {
			t.Fatalf("the owner elsewhere: %v", err)
		}
	}
	// An address that nobody of the system vouches for is where the call comes from.
	forged := func(n int) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), rpc.MetadataClientAddress, fmt.Sprintf("203.0.113.%d", n))
	}
	for n := range 3 {
		if err := try(forged(n), "wrong password"); !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) {
			t.Fatal(err)
		}
	}
	if err := try(forged(4), "wrong password"); !warrentest.Refused(err, identityv1.Reason_TOO_MANY_SIGN_INS) {
		t.Errorf("a forged address: %v", err)
	}
	// A network of IPv6 is one address; with it all addresses together are too many.
	if refused := guess("2001:db8::1", 2) + guess("2001:db8::ffff", 2); refused != 1 {
		t.Errorf("one network: %d of 4 refused; want 1", refused)
	}
	if err := try(s.from(t, "198.51.100.7"), password); !warrentest.Refused(err, identityv1.Reason_TOO_MANY_SIGN_INS) {
		t.Errorf("after guesses from everywhere: %v", err)
	}
}

func TestASuccessForgetsTheFailures(t *testing.T) {
	s := served(t, "identity.sign_in.attempts", "2")
	s.register(t, "ada@example.com")
	for range 4 {
		if _, err := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: "ada@example.com", Password: "wrong password"}); !warrentest.Refused(err, identityv1.Reason_BAD_CREDENTIALS) {
			t.Fatal(err)
		}
		s.signIn(t, "ada@example.com")
	}
}

func TestABusyServiceSendsAwayAndBlamesNobody(t *testing.T) {
	s := served(t, "identity.password.queue", "0", "identity.sign_in.attempts", "1")
	s.register(t, "ada@example.com")
	for range 2 {
		if err := s.service.hasher.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		_, err := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: "ada@example.com", Password: password})
		if !warrentest.Refused(err, identityv1.Reason_BUSY) || warrentest.Code(err) != codes.Unavailable || rpc.FromError(err).RetryAfter == 0 {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := s.Register(t.Context(), &identityv1.RegisterRequest{Email: "bob@example.com", Password: password}); !warrentest.Refused(err, identityv1.Reason_BUSY) {
		t.Errorf("register: %v", err)
	}
	s.service.hasher.slots.Release(2)
	s.signIn(t, "ada@example.com")
}

func TestOldHashesAreRenewed(t *testing.T) {
	s := served(t)
	u := s.register(t, "ada@example.com")
	old, err := s.service.users.get(t.Context(), u.GetId())
	if err != nil {
		t.Fatal(err)
	}
	s.service.hasher = newHasher(2, testSettings(t, "identity.password.iterations", "2"))
	s.signIn(t, "ada@example.com")
	renewed, err := s.service.users.get(t.Context(), u.GetId())
	if err != nil || renewed.password == old.password || !strings.Contains(renewed.password, "t=2") {
		t.Errorf("got %s, %v", renewed.password, err)
	}
	before := s.service.hasher.computed.Load()
	s.signIn(t, "ada@example.com")
	if n := s.service.hasher.computed.Load() - before; n != 1 {
		t.Errorf("%d hashes were computed; want 1", n)
	}
}

func TestOfRegistrationsOverTheWireOneWins(t *testing.T) {
	s := served(t)
	errs := atOnce(6, func(int) error {
		_, err := s.Register(t.Context(), &identityv1.RegisterRequest{Email: "ada@example.com", Password: password})
		return err
	})
	if n := won(t, errs, func(err error) bool {
		return warrentest.Refused(err, identityv1.Reason_EMAIL_TAKEN) && warrentest.Code(err) == codes.AlreadyExists
	}); n != 1 {
		t.Errorf("%d registered", n)
	}
}

func TestRequestsAgainstTheContract(t *testing.T) {
	s := served(t)
	s.register(t, "ada@example.com")
	me := as(t, s.signIn(t, "ada@example.com").GetAccessToken())
	root := as(t, s.signIn(t, s.admin(t, "root@example.com").email).GetAccessToken())
	register := func(email, password, name string) error {
		_, err := s.Register(t.Context(), &identityv1.RegisterRequest{Email: email, Password: password, DisplayName: name})
		return err
	}
	list := func(req *identityv1.ListUsersRequest) error { _, err := s.ListUsers(root, req); return err }
	roles := func(roles ...string) error {
		_, err := s.SetRoles(root, &identityv1.SetRolesRequest{UserId: "x", Roles: roles})
		return err
	}
	_, hidden := s.UpdateProfile(me, &identityv1.UpdateProfileRequest{DisplayName: new("a\u202eb")})
	_, long := s.Refresh(t.Context(), &identityv1.RefreshRequest{RefreshToken: strings.Repeat("x", 2000)})
	_, longPassword := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: "a@b.c", Password: strings.Repeat("x", 257)})
	_, zero := s.SignIn(t.Context(), &identityv1.SignInRequest{Email: "a\x00@b.c", Password: password})
	_, zeroID := s.GetUser(root, &identityv1.GetUserRequest{UserId: "x\x00"})
	for name, c := range map[string]struct {
		err   error
		field string
	}{
		"a zero byte":       {zero, "email"},
		"a zero byte in it": {zeroID, "user_id"},
		"no address":        {register("ada", password, ""), "email"},
		"a short password":  {register("b@example.com", "short", ""), "password"},
		"a long password":   {register("b@example.com", strings.Repeat("x", 257), ""), "password"},
		"to sign in with":   {longPassword, "password"},
		"a long name":       {register("b@example.com", password, strings.Repeat("x", 101)), "display_name"},
		"a hidden name":     {hidden, "display_name"},
		"a long token":      {long, "refresh_token"},
		"a page too large":  {list(&identityv1.ListUsersRequest{PageSize: 1_000_000_000}), "page_size"},
		"a token made up":   {list(&identityv1.ListUsersRequest{PageToken: "abc"}), "page_token"},
		"an unknown role":   {list(&identityv1.ListUsersRequest{Role: "root"}), "role"},
		"to give":           {roles("root"), "roles[0]"},
		"no role":           {roles(), "roles"},
		"a role said twice": {roles("staff", "staff"), "roles"},
	} {
		if !blames(c.err, c.field) {
			t.Errorf("%s: %v, %+v", name, c.err, rpc.FromError(c.err))
		}
	}
}

func TestWhoMayCall(t *testing.T) {
	s := served(t)
	u := s.register(t, "ada@example.com")
	customer := as(t, s.signIn(t, "ada@example.com").GetAccessToken())
	nobody, forged := t.Context(), as(t, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")
	calls := map[string]func(ctx context.Context) error{
		"list": func(ctx context.Context) error {
			_, err := s.ListUsers(ctx, &identityv1.ListUsersRequest{})
			return err
		},
		"get": func(ctx context.Context) error {
			_, err := s.GetUser(ctx, &identityv1.GetUserRequest{UserId: u.GetId()})
			return err
		},
		"roles": func(ctx context.Context) error {
			_, err := s.SetRoles(ctx, &identityv1.SetRolesRequest{UserId: u.GetId(), Roles: []string{"admin"}})
			return err
		},
	}
	for name, call := range calls {
		if err := call(customer); warrentest.Code(err) != codes.PermissionDenied {
			t.Errorf("%s as a customer: %v", name, err)
		}
		for who, ctx := range map[string]context.Context{"nobody": nobody, "a forger": forged} {
			if err := call(ctx); warrentest.Code(err) != codes.Unauthenticated {
				t.Errorf("%s as %s: %v", name, who, err)
			}
		}
	}
	if _, err := s.GetProfile(nobody, &identityv1.GetProfileRequest{}); warrentest.Code(err) != codes.Unauthenticated {
		t.Errorf("profile of nobody: %v", err)
	}
}

func TestAnAdminsWork(t *testing.T) {
	s := served(t)
	admin := s.admin(t, "root@example.com")
	root := as(t, s.signIn(t, admin.email).GetAccessToken())
	var last *identityv1.User
	for n := range 5 {
		last = s.register(t, fmt.Sprintf("ada%d@example.com", n))
	}
	var emails []string
	req := &identityv1.ListUsersRequest{PageSize: 2}
	for {
		page, err := s.ListUsers(root, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.GetUsers() {
			emails = append(emails, u.GetEmail())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if len(emails) != 6 || emails[0] != "root@example.com" || emails[5] != "ada4@example.com" {
		t.Errorf("listed %v", emails)
	}
	got, err := s.SetRoles(root, &identityv1.SetRolesRequest{UserId: last.GetId(), Roles: []string{"staff", "customer"}})
	if err != nil || !slices.Equal(got.GetRoles(), []string{"customer", "staff"}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.SetRoles(root, &identityv1.SetRolesRequest{UserId: "nobody", Roles: []string{"staff"}}); !warrentest.Refused(err, identityv1.Reason_USER_NOT_FOUND) {
		t.Errorf("roles of nobody: %v", err)
	}
	if _, err := s.GetUser(root, &identityv1.GetUserRequest{UserId: "nobody"}); !warrentest.Refused(err, identityv1.Reason_USER_NOT_FOUND) {
		t.Errorf("get nobody: %v", err)
	}
	// The token still says admin when the roles are gone.
	second := s.admin(t, "second@example.com")
	secondToken := as(t, s.signIn(t, second.email).GetAccessToken())
	if _, err := s.SetRoles(root, &identityv1.SetRolesRequest{UserId: second.id, Roles: []string{"customer"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetRoles(secondToken, &identityv1.SetRolesRequest{UserId: second.id, Roles: []string{"admin"}}); warrentest.Code(err) != codes.PermissionDenied {
		t.Errorf("an admin who was dismissed: %v", err)
	}
	if log := s.logs.String(); !strings.Contains(log, "roles set") || !strings.Contains(log, "by="+admin.id) {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestTheLogTellsNoSecrets(t *testing.T) {
	s := served(t)
	s.register(t, "ada@example.com")
	session := s.signIn(t, "ada@example.com")
	_, _ = s.SignIn(t.Context(), &identityv1.SignInRequest{Email: "ada@example.com", Password: "another secret"})
	log := s.logs.String()
	for _, secret := range []string{password, "another secret", session.GetAccessToken(), session.GetRefreshToken(), "ada@example.com", "argon2id"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
	if strings.Count(log, "msg=audit") != 3 {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestTokensSayWhatVerifiersNeed(t *testing.T) {
	s := served(t)
	u := s.register(t, "ada@example.com")
	session := s.signIn(t, "ada@example.com")
	got, err := s.verifier.Verify(t.Context(), session.GetAccessToken())
	if err != nil || got.Subject != u.GetId() || !slices.Equal(got.Roles, []string{"customer"}) || !got.Expires.Equal(session.GetAccessExpireTime().AsTime()) {
		t.Errorf("got %+v, %v", got, err)
	}
	other := testSettings(t, "identity.audience", "elsewhere")
	s.service.keys.settings = other
	if _, err := s.verifier.Verify(t.Context(), s.signIn(t, "ada@example.com").GetAccessToken()); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("a token for somebody else: %v", err)
	}
}

func TestTokensOutliveTheirKeysTurn(t *testing.T) {
	s := served(t, "identity.keys.age", "1h", "identity.access.life", "1h")
	s.register(t, "ada@example.com")
	// Signed at the last moment of the first key's turn.
	s.clock.advance(time.Hour)
	if err := s.service.keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := s.service.keys.known.Load().keys
	if len(first) != 2 {
		t.Fatalf("%d keys", len(first))
	}
	s.clock.advance(keyLead - time.Second)
	token := s.signIn(t, "ada@example.com").GetAccessToken()
	s.clock.advance(maxAccessLife)
	if err := s.service.keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := s.service.keys.known.Load().keys
	if now, _ := keys.signing(s.clock.now()); now.id == first[0].id {
		t.Error("the first key still signs")
	}
	fresh, err := auth.NewVerifier(&keysService{keys: s.service.keys}, auth.VerifierOptions{Issuer: "shop", Audience: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	// The verifier's clock is the real one: it is too early for it, and the
	// error must be that and not an unknown key.
	_, err = fresh.Verify(t.Context(), token)
	if err == nil || strings.Contains(err.Error(), "key") {
		t.Errorf("got %v", err)
	}
}

func TestKeysOverTheWire(t *testing.T) {
	s := served(t)
	got, err := s.keysClient.GetKeys(t.Context(), &authv1.GetKeysRequest{})
	if err != nil || len(got.GetKeys()) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	if text := got.String(); strings.Contains(text, `"d"`) {
		t.Errorf("the private key is published: %s", text)
	}
}

func TestWithoutKeysNothingIsSigned(t *testing.T) {
	keys := &keyring{store: opened(t, storetest.SQLite(t)), settings: testSettings(t), now: time.Now}
	if err := keys.ready(t.Context()); !errors.Is(err, errNoKeys) {
		t.Errorf("ready: %v", err)
	}
	if _, _, err := keys.sign(ada(1), "s"); !errors.Is(err, errNoKeys) {
		t.Errorf("sign: %v", err)
	}
	if _, err := (&keysService{keys: keys}).GetKeys(t.Context(), nil); !warrentest.Refused(err, identityv1.Reason_BUSY) {
		t.Errorf("publish: %v", err)
	}
	if err := keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := keys.ready(t.Context()); err != nil {
		t.Error(err)
	}
	// With the database away, what is known goes on.
	if err := keys.store.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := keys.refresh(t.Context()); err == nil {
		t.Error("refreshed without a database")
	}
	if _, _, err := keys.sign(ada(1), "s"); err != nil {
		t.Error(err)
	}
}

func TestSessionsOfTokens(t *testing.T) {
	s := served(t)
	token, _, err := s.service.keys.sign(ada(1), "session-1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sessionOf(token); err != nil || got != "session-1" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"", "x.y.z", "eyJhbGciOiJub25lIn0.e30."} {
		if got, err := sessionOf(bad); err == nil {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}

func TestTheFirstAdminCanSignIn(t *testing.T) {
	s := served(t)
	root := &firstAdmin{email: "root@example.com", password: password}
	if root.ready(t.Context()) == nil {
		t.Error("ready before the work is done")
	}
	for range 2 { // a start, and the next one
		if err := root.create(t.Context(), s.service); err != nil || root.ready(t.Context()) != nil {
			t.Fatal(err)
		}
	}
	if got := s.signIn(t, "root@example.com").GetUser().GetRoles(); !slices.Contains(got, "admin") {
		t.Errorf("roles %v", got)
	}
	other := &firstAdmin{email: "evil@example.com", password: password}
	if err := other.create(t.Context(), s.service); err != nil {
		t.Fatal(err)
	}
	if _, err := s.service.users.byEmail(t.Context(), "evil@example.com"); !errors.Is(err, errNoUser) {
		t.Errorf("there are two first admins: %v", err)
	}
}

// Whoever registers the address of the first admin before them must not become
// admin, nor get to know their password.
func TestAnAddressTakenIsNotPromoted(t *testing.T) {
	s := served(t)
	u := s.register(t, "root@example.com")
	root := &firstAdmin{email: "root@example.com", password: "the real admin's"}
	if err := root.create(t.Context(), s.service); err != nil || root.ready(t.Context()) != nil {
		t.Fatal(err)
	}
	if got, err := s.service.users.get(t.Context(), u.GetId()); err != nil || got.has(roleAdmin) {
		t.Errorf("got %v, %v", got.roles, err)
	}
	if log := s.logs.String(); !strings.Contains(log, "level=ERROR") || strings.Contains(log, "the real admin's") {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestPeriodicWorkEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	times := 0
	err := every(time.Microsecond, func(context.Context) error {
		if times++; times == 3 {
			cancel()
		}
		return nil
	})(ctx)
	if err != nil || times < 3 {
		t.Errorf("%d times, %v", times, err)
	}
	broken := errors.New("broken")
	if err := every(time.Hour, func(context.Context) error { return broken })(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
