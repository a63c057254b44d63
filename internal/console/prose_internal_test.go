package console

import (
	"fmt"
	"strings"
	"testing"
)

func TestProse(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"*page.* Look: `warren ps`,\nthen `a * b`.\n\nThe end": "[page.]Look: <warren ps>, then <a * b>.|The end",
		"2 * 3 is `open and 4 * 5":                             "2 * 3 is `open and 4 * 5",
		"<b>no</b> ``":                                         "<b>no</b> ``",
	} {
		var got []string
		for _, paragraph := range prose(text) {
			var all strings.Builder
			for _, one := range paragraph {
				switch {
				case one.Code:
					fmt.Fprintf(&all, "<%s>", one.Text)
				case one.Strong:
					fmt.Fprintf(&all, "[%s]", one.Text)
				default:
					all.WriteString(one.Text)
				}
			}
			got = append(got, all.String())
		}
		if got := strings.ReplaceAll(strings.Join(got, "|"), "] ", "]"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
