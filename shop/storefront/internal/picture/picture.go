// Package picture draws a picture of a product from its code and name: always
// the same one, and for each product its own.
package picture

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

// edition is part of every name: pictures are kept by browsers for good, so
// ones that are drawn differently must be called differently.
const edition = "1"

//go:embed motifs/*.svg
var motifs embed.FS

// Name returns the name of a product's picture. All that the picture depends on
// stands in it.
func Name(sku, name string) string {
	words := wordsOf(name)
	h := fnv.New32a()
	_, _ = h.Write([]byte(strings.ToUpper(sku)))
	return fmt.Sprintf("%s-%s-%s-%08x-%s.svg", first(shapes[:], words, "gift"), first(prints[:], words, "plain"),
		first(tones[:], words, "any"), h.Sum32(), edition)
}

// Motif returns what a product of that name is drawn as.
func Motif(name string) string { return first(shapes[:], wordsOf(name), "gift") }

// Draw returns the picture of a name, as SVG, or false where no picture is
// called so.
func Draw(name string) ([]byte, bool) {
	parts := strings.Split(strings.TrimSuffix(name, ".svg"), "-")
	if len(parts) != 5 || parts[4] != edition || len(parts[3]) != 8 || !strings.HasSuffix(name, ".svg") ||
		!isOne(prints[:], parts[1], "plain") || !isOne(tones[:], parts[2], "any") {
		return nil, false
	}
	seed, err := strconv.ParseUint(parts[3], 16, 32)
	if err != nil {
		return nil, false
	}
	motif, err := motifs.ReadFile("motifs/" + parts[0] + ".svg")
	if err != nil {
		return nil, false
	}
	return compose(string(motif), parts[1], parts[2], rand.New(rand.NewPCG(seed, 0xb0220))), true
}

func isOne(table [][2]string, name, otherwise string) bool {
	for _, line := range table {
		if line[0] == name {
			return true
		}
	}
	return name == otherwise
}

// compose puts a motif before a background, in the colours that chance gives.
func compose(motif, printed, tone string, chance *rand.Rand) []byte {
	choice := toned(tone)
	colours := choice[chance.IntN(len(choice))]
	if chance.IntN(3) == 0 && tone == "any" { // the second colour leads
		colours.main, colours.second = colours.second, colours.main
	}
	if printed == "plain" && chance.IntN(3) == 0 {
		printed = [...]string{"dots", "stripes", "petals"}[chance.IntN(3)]
	}
	fill := "url(#p)"
	if printed == "plain" {
		fill = colours.main
	}
	paint := strings.NewReplacer(`"A"`, `"`+colours.main+`"`, `"B"`, `"`+colours.second+`"`, `"C"`, `"`+colours.third+`"`,
		`"D"`, `"`+colours.dark+`"`, `"W"`, `"`+colours.light+`"`, `"L"`, `"`+colours.sky+`"`, `"P"`, `"`+fill+`"`,
		`<S/>`, `<ellipse cx="200" cy="327" rx="128" ry="13" fill="`+colours.dark+`" opacity=".16"/>`)
	var out bytes.Buffer
	out.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400" width="400" height="400"><defs>`)
	out.WriteString(pattern(printed, colours))
	fmt.Fprintf(&out, `<linearGradient id="b" x1="0" y1="0" x2="%.1f" y2="1"><stop offset="0" stop-color="%s"/>`+
		`<stop offset="1" stop-color="%s"/></linearGradient></defs>`,
		chance.Float64(), colours.paper, colours.sky)
	out.WriteString(`<rect width="400" height="400" fill="url(#b)"/>`)
	out.WriteString(background(colours, chance))
	size := 0.9 + 0.07*chance.Float64()
	turn := 10*chance.Float64() - 5
	if strings.Contains(motif, "<S/>") {
		turn = 0 // what stands, stands upright
	}
	side := 1.0
	if chance.IntN(2) == 0 {
		side = -1
	}
	fmt.Fprintf(&out, `<g transform="translate(200 206) rotate(%.1f) scale(%.3f %.3f) translate(-200 -204)">`, turn, side*size, size)
	out.WriteString(paint.Replace(motif))
	out.WriteString(`</g></svg>`)
	return out.Bytes()
}

// background is what stands behind.
func background(c palette, chance *rand.Rand) string {
	switch chance.IntN(8) {
	case 0: // a sun
		return fmt.Sprintf(`<circle cx="%d" cy="190" r="%d" fill="%s" opacity=".55"/>`, 150+chance.IntN(100), 130+chance.IntN(30), c.light)
	case 1: // an arch
		return fmt.Sprintf(`<path d="M70 400V200a130 130 0 0 1 260 0v200z" fill="%s" opacity=".5"/>`, c.light)
	case 2: // hills
		return fmt.Sprintf(`<path d="M0 300c90-70 160-60 230-20s120 20 170-30v150H0z" fill="%s" opacity=".28"/>`+
			`<path d="M0 350c120-50 260-40 400-10v60H0z" fill="%s" opacity=".3"/>`, c.second, c.main)
	case 3: // a table
		return fmt.Sprintf(`<rect y="304" width="400" height="96" fill="%s" opacity=".32"/>`, c.second)
	case 4: // quarters of a circle
		return fmt.Sprintf(`<path d="M0 0h190A190 190 0 0 1 0 190zM400 400H230a170 170 0 0 1 170-170z" fill="%s" opacity=".3"/>`, c.third)
	case 5: // a wall with a line
		return fmt.Sprintf(`<rect y="296" width="400" height="104" fill="%s" opacity=".5"/>`+
			`<path d="M0 296h400" stroke="%s" stroke-width="5" opacity=".25"/>`, c.light, c.dark)
	case 6: // confetti
		var b strings.Builder
		for range 16 {
			fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="%d" fill="%s" opacity=".5"/>`, chance.IntN(400), chance.IntN(400), 4+chance.IntN(9),
				[...]string{c.light, c.second, c.third}[chance.IntN(3)])
		}
		return b.String()
	}
	return fmt.Sprintf(`<path d="M-20 90Q100 20 200 90T420 90V-20H-20z" fill="%s" opacity=".4"/>`, c.light) // a wave
}
