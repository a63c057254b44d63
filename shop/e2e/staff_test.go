package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStaffChangesAPrice changes a price over REST: who asks afterwards is told
// the new one, whichever instance answers.
func TestStaffChangesAPrice(t *testing.T) {
	const email, password = "root@example.com", "correct horse battery staple"
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOP_ADMIN_EMAIL", email)
	t.Setenv("SHOP_ADMIN_PASSWORD_FILE", file)
	s := up(t)
	got := s.call("POST", "/v1/sessions", "", fmt.Sprintf(`{"email": %q, "password": %q}`, email, password))
	token, _ := got.json(t)["accessToken"].(string)
	if token == "" {
		t.Fatalf("sign in: %d %s", got.status, got.body)
	}
	const path, list = "/v1/products/22423", "/v1/products?category=Kitchen%20and%20Table&page_size=200&min_price=424242"
	for range 10 { // both instances keep the old price now
		s.call("GET", path, "", "")
		s.call("GET", list, "", "")
	}
	change := func(version string) answer {
		return s.call("PATCH", path, token, `{"version": "`+version+`", "price": {"currencyCode": "GBP", "minorUnits": "424242"}}`)
	}
	version, _ := s.call("GET", path, "", "").json(t)["version"].(string)
	if got := change(version); got.status != http.StatusOK {
		t.Fatalf("change: %d %s", got.status, got.body)
	}
	for range 10 {
		if got := s.call("GET", path, "", ""); !strings.Contains(got.body, `"424242"`) {
			t.Errorf("the old price: %d %s", got.status, got.body)
		}
		if got := s.call("GET", list, "", ""); !strings.Contains(got.body, `"22423"`) {
			t.Errorf("the old list: %d %s", got.status, got.body)
		}
	}
	if got := change(version); got.status != http.StatusConflict || got.json(t)["reason"] != "VERSION_CONFLICT" {
		t.Errorf("a change of the version before: %d %s, want 409", got.status, got.body)
	}
}
