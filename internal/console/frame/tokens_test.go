package frame

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast holds every theme to what people can read: 4.5 to 1 for text,
// 3 to 1 for lines of charts and edges of fields (WCAG 2.2, AA).
func TestContrast(t *testing.T) {
	themes := readThemes(t)
	if len(themes) != 3 {
		t.Fatalf("%d themes", len(themes))
	}
	for i, theme := range themes {
		for _, on := range []string{"canvas", "surface", "raised"} {
			for _, text := range []string{"text", "text-soft", "text-faint", "accent", "good", "busy", "warn", "bad", "idle"} {
				theme.atLeast(t, i, text, on, 4.5)
			}
			theme.atLeast(t, i, "line-strong", on, 3)
		}
		for _, tone := range []string{"good", "busy", "warn", "bad", "idle", "accent"} {
			theme.atLeast(t, i, tone, tone+"-soft", 4.5)
			theme.atLeast(t, i, "text", tone+"-soft", 4.5)
		}
		theme.atLeast(t, i, "accent-text", "accent", 4.5)
		for n := 1; n <= 8; n++ {
			theme.atLeast(t, i, "chart-"+strconv.Itoa(n), "surface", 3)
		}
	}
	for name, value := range themes[1] { // dark, chosen or by the system, is one
		if themes[2][name] != value {
			t.Errorf("--%s differs between the two dark themes", name)
		}
	}
}

// TestTokensOnly keeps colours out of all other styles.
func TestTokensOnly(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/console.css")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b`).FindAllString(string(css), -1); found != nil {
		t.Errorf("colours that are no tokens: %v", found)
	}
}

type colours map[string]string

func readThemes(t *testing.T) []colours {
	t.Helper()
	css, err := assetFiles.ReadFile("assets/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	var out []colours
	for _, block := range strings.Split(string(css), "\n  color-scheme:")[1:] {
		one := colours{}
		for _, m := range regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
			one[m[1]] = m[2]
		}
		out = append(out, one)
	}
	return out
}

func (c colours) atLeast(t *testing.T, theme int, front, back string, want float64) {
	t.Helper()
	a, b := luminance(t, c[front]), luminance(t, c[back])
	if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < want {
		t.Errorf("theme %d: --%s on --%s has %.2f to 1, want %.1f", theme, front, back, ratio, want)
	}
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) != 7 {
		t.Fatalf("no colour: %q", colour)
	}
	n, err := strconv.ParseUint(colour[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift uint) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func TestOwnPath(t *testing.T) {
	for to, want := range map[string]string{"/services?x=1": "/services?x=1", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "": "/"} {
		if got := ownPath(to); got != want {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		value float64
		unit  string
		want  string
	}{{0.0042, "%", "0.42 %"}, {0.1234, "s", "123 ms"}, {75, "s", "1 min 15 s"}, {1536, "B", "1.5 KiB"}, {238.4, "/s", "238 /s"}, {12400, "/s", "12.4k /s"}, {2.5e6, "", "2.5M"}, {math.NaN(), "s", "–"}, {0, "s", "0"}} {
		if got := Amount(c.value, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.value, c.unit, got, c.want)
		}
	}
	if got := Count(1234567); got != "1\u202f234\u202f567" {
		t.Errorf("%q", got)
	}
}
