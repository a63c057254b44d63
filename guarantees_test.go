package warren_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestGuaranteesAreShown: every test that a document names as its proof
// exists, parts included, and so does every metric.
func TestGuaranteesAreShown(t *testing.T) {
	sources := goSources(t)
	for _, document := range []string{"docs/guarantees.md", "docs/operations.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z][^`]*)`").FindAllStringSubmatch(string(text), -1) {
			test, parts, _ := strings.Cut(name[1], "/")
			if !strings.Contains(sources, "\nfunc "+test+"(") {
				t.Errorf("%s: there is no test %s", document, test)
			}
			for part := range strings.SplitSeq(parts, "/") {
				quoted := `"` + strings.ReplaceAll(part, "_", " ") + `"`
				if part != "" && !strings.Contains(sources, quoted) {
					t.Errorf("%s: %s has no part %s", document, test, part)
				}
			}
		}
		for _, name := range regexp.MustCompile(`\b(warren|rpc|http|db)(_[a-z]+){2,}\b`).FindAllString(string(text), -1) {
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum")
			if !strings.Contains(sources, `"`+base+`"`) && !strings.Contains(sources, `"`+name+`"`) {
				t.Errorf("%s: there is no metric %s", document, name)
			}
		}
	}
}

// TestSettingsAreTold: the document of the settings names all there are, and no
// others.
func TestSettingsAreTold(t *testing.T) {
	text, err := os.ReadFile("docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`config\.(?:Int|Duration|Float|Bool|String|Enum|Sensitive)\("([a-z_.]+)"`)
	for dir, p := range readHouse(t).packages {
		for _, f := range p.files {
			if f.test || dir == "config" || strings.HasPrefix(dir, "config/") {
				continue
			}
			source, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range declaration.FindAllStringSubmatch(string(source), -1) {
				declared[name[1]] = true
			}
		}
	}
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^[|] `([a-z_]+(?:[.][a-z_]+)+)` [|]").FindAllStringSubmatch(string(text), -1) {
		told[row[1]] = true
		// Those of rates are one declaration in a loop.
		if !declared[row[1]] && !strings.HasPrefix(row[1], "gateway.rate.") {
			t.Errorf("docs/settings.md: there is no setting %s", row[1])
		}
	}
	for name := range declared {
		if !told[name] {
			t.Errorf("docs/settings.md does not tell of %s", name)
		}
	}
}

func goSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	h := readHouse(t)
	for _, p := range h.packages {
		for _, f := range p.files {
			text, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			all.WriteByte('\n')
			all.Write(text)
		}
	}
	return all.String()
}
