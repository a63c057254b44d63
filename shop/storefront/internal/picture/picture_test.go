package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"Red Retrospot Mug", "mug-dots-red-"},
		{"White Hanging Heart T-light Holder", "tlight-hearts-white-"},
		{"Set of 3 Cake Tins Pantry Design", "cake-plain-any-"},
		{"Jumbo Bag Vintage Paisley", "bag-petals-"},
		{"Alarm Clock Bakelike Green", "clock-plain-green-"},
		{"Spaceboy Birthday Card", "card-stars-"},
		{"Something That Nobody Knows", "gift-plain-"},
		{"", "gift-plain-"},
	} {
		if got := Name("85123A", c.name); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q is %s, want %s…", c.name, got, c.want)
		}
	}
	if Name("a1", "Mug") != Name("A1", "Mug") || Name("A1", "Mug") == Name("A2", "Mug") {
		t.Error("a picture is not its product's own")
	}
}

func TestEveryShapeIsDrawn(t *testing.T) {
	for _, shape := range shapes {
		for _, print := range append(prints[:], [2]string{"plain", ""}) {
			name := shape[0] + "-" + print[0] + "-" + tones[len(print[0])%len(tones)][0] + "-00c0ffee-" + edition + ".svg"
			picture, ok := Draw(name)
			if !ok {
				t.Errorf("%s is not drawn", name)
				continue
			}
			again, _ := Draw(name)
			if !bytes.Equal(picture, again) {
				t.Errorf("%s is another picture the second time", name)
			}
			wellFormed(t, name, picture)
		}
	}
	one, _ := Draw(Name("A1", "Mug"))
	other, _ := Draw(Name("B7", "Mug"))
	if bytes.Equal(one, other) {
		t.Error("two mugs have one picture")
	}
}

// wellFormed wants XML that uses nothing from elsewhere, and no colour left
// unpainted.
func wellFormed(t *testing.T, name string, picture []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(picture))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start, _ := token.(xml.StartElement)
		for _, a := range start.Attr {
			if len(a.Value) == 1 && strings.Contains("ABCDWLP", a.Value) && (a.Name.Local == "fill" || a.Name.Local == "stroke") {
				t.Errorf("%s: <%s %s=%q> is not painted", name, start.Name.Local, a.Name.Local, a.Value)
			}
			if a.Name.Local == "href" || strings.Contains(a.Value, "http") && a.Name.Local != "xmlns" {
				t.Errorf("%s refers to %s", name, a.Value)
			}
		}
	}
}

func TestOnlyPicturesAreDrawn(t *testing.T) {
	good := Name("A1", "Mug")
	for _, name := range []string{
		"", ".svg", "mug.svg", strings.TrimSuffix(good, ".svg"), "../motifs/mug-plain-any-00000000-" + edition + ".svg", "nothing-plain-any-00000000-" + edition + ".svg",
		"mug-nothing-any-00000000-" + edition + ".svg", "mug-plain-any-xyz00000-" + edition + ".svg", "mug-plain-any-000-" + edition + ".svg", "mug-plain-any-00000000-0.svg", "mug-plain-nothing-00000000-" + edition + ".svg", good + "?",
	} {
		if _, ok := Draw(name); ok {
			t.Errorf("%q is a picture", name)
		}
	}
}
