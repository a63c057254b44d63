package etcdconfig_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/engines/enginestest"
)

// What may be set can be rolled back: two documents as large as they may be,
// without a value in common, fit into one request with all that is noted of it.
func TestLargestRollbackFits(t *testing.T) {
	d := open(t, enginestest.StartEtcd(t).URL("shop"))
	text := config.String("shop.text", "", "")
	centre, err := config.NewCentre(d, "local")
	check(t, err)
	check(t, centre.Define(t.Context(), "shop", []config.Definition{text.Definition()}))
	const most = 4 << 10
	author, reason := "ann", strings.Repeat("\x01", most-3)
	value := strings.Repeat("x", 4000)
	edit := func(name string, n int, value *string) config.Edit {
		return config.Edit{Name: "shop.text", Scope: config.Scope{Method: fmt.Sprintf("/shop.v1.Texts/%s%d", name, n)}, New: value}
	}
	var first, second []config.Edit
	for n := range 88 {
		first = append(first, edit("A", n, &value))
		second = append(second, edit("A", n, nil), edit("B", n, &value))
	}
	_, err = centre.Set(t.Context(), first, author, reason)
	check(t, err)
	document, err := d.Load(t.Context(), "local")
	check(t, err)
	if size := len(document.Data) >> 10; size < 350 {
		t.Fatalf("the document has %d KiB: not as many as it may", size)
	}
	_, err = centre.Set(t.Context(), second, author, reason)
	check(t, err)
	change, err := centre.Rollback(t.Context(), 1, author, reason)
	check(t, err)
	if len(change.Edits) != len(second) {
		t.Errorf("%d edits; want %d", len(change.Edits), len(second))
	}
	more := []config.Edit{edit("C", 1, &value), edit("C", 2, &value), edit("C", 3, &value)}
	if _, err := centre.Set(t.Context(), more, author, reason); err == nil || !strings.Contains(err.Error(), "may be 360 KiB") {
		t.Errorf("more than it may have: %v", err)
	}
	if _, err := centre.Set(t.Context(), more[:1], author, reason+"!"); err == nil || !strings.Contains(err.Error(), "4096 bytes together") {
		t.Errorf("a longer reason: %v", err)
	}
}
