package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestAddressesHaveANormalForm(t *testing.T) {
	for given, want := range map[string]string{
		"Ada@Example.COM":        "Ada@example.com",
		" ada@example.com ":      "ada@example.com",
		"ada+shop@example.com":   "ada+shop@example.com",
		"jose\u0301@example.com": "josé@example.com",
		`"a@b"@example.com`:      `"a@b"@example.com`,
	} {
		if got, err := tidyEmail(given); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{"", "ada", "@example.com", "ada@", "a da@example.com", "ada@exa\u200bmple.com", "a\x00@b.c", strings.Repeat("a", 250) + "@b.com"} {
		if got, err := tidyEmail(bad); !blames(err, "email") {
			t.Errorf("%q: got %q, %v", bad, got, err)
		}
	}
	for _, same := range [][2]string{{"Ada@example.com", "ada@EXAMPLE.com"}, {"jose\u0301@x.de", " JOSÉ@x.de"}} {
		if emailKey(same[0]) != emailKey(same[1]) || accountOf(same[0]) != accountOf(same[1]) {
			t.Errorf("%q and %q are two accounts", same[0], same[1])
		}
	}
	if accountOf("ada@example.com") == accountOf("bob@example.com") || strings.Contains(accountOf("ada@example.com"), "ada") {
		t.Error("accounts are told apart, and don't tell the address")
	}
}

func TestNamesAreTidied(t *testing.T) {
	for given, want := range map[string]string{"": "", " Ada  Lovelace ": "Ada Lovelace", "Zoe\u0308": "Zoë", "李小龍": "李小龍", "👩‍💻": "👩‍💻"} {
		if got, err := tidyName(given); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", given, got, err, want)
		}
	}
	for _, bad := range []string{"admin\u202e", "a\u200bb", "a\x1b[31m", strings.Repeat("ä", 101)} {
		if _, err := tidyName(bad); !blames(err, "display_name") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestRolesAreTidied(t *testing.T) {
	got, err := tidyRoles([]string{"admin", "customer", "admin"})
	if err != nil || !slices.Equal(got, []string{"customer", "admin"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range [][]string{nil, {"root"}, {"customer", "ADMIN"}} {
		if got, err := tidyRoles(bad); !blames(err, "roles") {
			t.Errorf("%v: got %v, %v", bad, got, err)
		}
	}
}

func TestMessagesDoNotHaveThePassword(t *testing.T) {
	u := ada(1)
	u.password = "$argon2id$secret"
	if text := u.message().String(); strings.Contains(text, "argon2id") || !strings.Contains(text, u.id) {
		t.Errorf("got %s", text)
	}
}

func TestIdsAndTokensDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		token, hash := newRefreshToken()
		if len(token) != 43 || hash != hashToken(token) || strings.Contains(hash, token) {
			t.Fatalf("token %s, hash %s", token, hash)
		}
		for _, s := range []string{newID(), token, hash} {
			if seen[s] {
				t.Fatalf("%s comes again", s)
			}
			seen[s] = true
		}
	}
}

// keysAt returns keys that become active at the times given.
func keysAt(t *testing.T, active ...time.Time) keySet {
	t.Helper()
	var out keySet
	for _, when := range active {
		k, err := newSigningKey(when, when)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

func TestTheLastActiveKeySigns(t *testing.T) {
	keys := keysAt(t, at, at.Add(time.Hour))
	for when, want := range map[time.Time]int{at: 0, at.Add(59 * time.Minute): 0, at.Add(time.Hour): 1, at.Add(100 * time.Hour): 1} {
		if got, ok := keys.signing(when); !ok || got.id != keys[want].id {
			t.Errorf("at %v another key than %d signs", when, want)
		}
	}
	if _, ok := (keySet)(nil).signing(at); ok {
		t.Error("no key signs")
	}
}

// A successor is published long before it is active; when the key before it is
// withdrawn at that time, signing in must go on.
func TestTheSuccessorTakesOverFromAKeyThatWasWithdrawn(t *testing.T) {
	keys := keysAt(t, at, at.Add(keyLead))
	left := keys[1:]
	if got, ok := left.signing(at.Add(time.Minute)); !ok || got.id != left[0].id {
		t.Errorf("nobody can sign in for %v", keyLead-time.Minute)
	}
}

func TestAKeyIsPublishedBeforeItSigns(t *testing.T) {
	const age = 24 * time.Hour
	if active, due := (keySet)(nil).successor(at, age); !due || active != at {
		t.Errorf("the first key: %v, %v", active, due)
	}
	keys := keysAt(t, at)
	if _, due := keys.successor(at.Add(age-keyLead-time.Second), age); due {
		t.Error("a key is made too early")
	}
	now := at.Add(age - keyLead)
	active, due := keys.successor(now, age)
	if !due || active.Sub(now) != keyLead {
		t.Errorf("got %v, %v", active, due)
	}
	// Late, as all instances were off: it is published for a while all the same.
	if active, due = keys.successor(at.Add(10*age), age); !due || active != at.Add(10*age+keyLead) {
		t.Errorf("late: got %v, %v", active, due)
	}
	keys = append(keys, keysAt(t, active)...)
	if _, due := keys.successor(at.Add(10*age+time.Minute), age); due {
		t.Error("a second successor is made")
	}
}

func TestAKeyIsKnownAsLongAsItsTokensLive(t *testing.T) {
	keys := keysAt(t, at, at.Add(time.Hour), at.Add(2*time.Hour))
	if got := keys.outdated(at.Add(time.Hour + maxAccessLife)); len(got) != 0 {
		t.Errorf("outdated too early: %v", got)
	}
	if got := keys.outdated(at.Add(time.Hour + keyOverlap + time.Second)); !slices.Equal(got, []string{keys[0].id}) {
		t.Errorf("got %v", got)
	}
	if got := keys.outdated(at.Add(1000 * time.Hour)); len(got) != 2 {
		t.Errorf("the last key must stay: %v", got)
	}
}

func TestKeysAreKeptWithTheirPrivatePartAndPublishedWithout(t *testing.T) {
	k := keysAt(t, at)[0]
	text, err := k.text()
	if err != nil {
		t.Fatal(err)
	}
	private, err := parsePrivate(text)
	if err != nil || !private.Equal(k.private) {
		t.Errorf("read back: %v", err)
	}
	if len(text) > 500 {
		t.Errorf("%d characters do not fit into the column", len(text))
	}
	out, err := publish(keySet{k})
	if err != nil {
		t.Fatal(err)
	}
	fields := out.GetKeys()[0].AsMap()
	if _, leaked := fields["d"]; leaked || fields["kid"] != k.id || fields["alg"] != "EdDSA" || fields["use"] != "sig" {
		t.Errorf("published %v", fields)
	}
	public, err := k.public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{}", string(public)} {
		if _, err := parsePrivate(bad); err == nil {
			t.Errorf("%q is no private key", bad)
		}
	}
	if !(&jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.public()}}).Keys[0].IsPublic() {
		t.Error("the public part is private")
	}
}

func TestTheFirstAdminIsReadFromTheEnvironment(t *testing.T) {
	read := func(email, file, content string) (*firstAdmin, error) {
		getenv := func(name string) string { return map[string]string{adminEmail: email, adminPasswordFile: file}[name] }
		return readFirstAdmin(getenv, func(name string) ([]byte, error) {
			if name != "there" {
				return nil, os.ErrNotExist
			}
			return []byte(content), nil
		})
	}
	if a, err := read("", "", ""); a != nil || err != nil {
		t.Errorf("nobody: got %v, %v", a, err)
	}
	a, err := read("Root@Example.com", "there", "long enough  \r\n")
	if err != nil || a.email != "Root@example.com" || a.password != "long enough  " {
		t.Errorf("got %+v, %v", a, err)
	}
	for name, c := range map[string][3]string{
		"no file named":  {"root@example.com", "", ""},
		"no address":     {"", "there", "long enough"},
		"bad address":    {"root", "there", "long enough"},
		"no such file":   {"root@example.com", "absent", ""},
		"short password": {"root@example.com", "there", "short\n"},
		"long password":  {"root@example.com", "there", strings.Repeat("x", 257)},
		"not text":       {"root@example.com", "there", strings.Repeat("\xff", 20)},
	} {
		if a, err := read(c[0], c[1], c[2]); err == nil {
			t.Errorf("%s: got %+v", name, a)
		} else if strings.Contains(err.Error(), "long enough") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
	if _, err := read("root@example.com", "absent", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
