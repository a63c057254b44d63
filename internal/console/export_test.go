package console_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gowarren/warren/internal/console"
)

// TestExports takes every list as text and as JSON: as many rows, and the same
// columns as far as they have names.
func TestExports(t *testing.T) {
	at := "http://" + newWorld().serve(t, console.Options{}).Address()
	lists := 0
	for _, s := range screens {
		sep := "?"
		if strings.Contains(s.path, "?") {
			sep = "&"
		}
		resp, text := get(t, at+s.path+sep+"format=csv")
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") {
			continue
		}
		lists++
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		resp, text = get(t, at+s.path+sep+"format=json")
		var objects []map[string]any
		if err := json.Unmarshal([]byte(text), &objects); err != nil || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v, %s:\n%s", s.name, err, resp.Header, text)
			continue
		}
		named := 0
		for _, title := range rows[0] {
			if title != "" {
				named++
			}
		}
		if len(objects) != len(rows)-1 || len(objects) > 0 && len(objects[0]) != named {
			t.Errorf("%s: %d objects of %d rows; %v of %v", s.name, len(objects), len(rows)-1, objects[:min(1, len(objects))], rows[0])
		}
	}
	if lists < 14 {
		t.Errorf("only %d lists", lists)
	}
	_, text := get(t, at+"/services?format=json")
	for _, want := range []string{`"service": "catalog"`, `"restarts": 3`, `"health": "2 of 2 ready"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if resp, _ := get(t, at+"/services?format=xml"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("another format: %s", resp.Header)
	}
}
