package frame

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Tone is how a status is meant; it chooses icon and colour, and never stands
// without the word.
type Tone string

// What is idle is neither good nor bad.
const (
	Good Tone = "good"
	Busy Tone = "busy"
	Warn Tone = "warn"
	Bad  Tone = "bad"
	Idle Tone = "idle"
)

// Status is a word with its tone.
type Status struct {
	Word string
	Tone Tone
}

// never is a moment that isn't said: also where it came as a message, of which the
// missing one is the beginning of 1970.
func never(t time.Time) bool { return t.IsZero() || t.Unix() == 0 }

// Ago is how long a moment is past, as people say it.
func Ago(t, now time.Time) string {
	if never(t) {
		return "–"
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + Span(-d)
	}
	if d < time.Second {
		return "now"
	}
	return Span(d) + " ago"
}

// Span is a duration with two figures at most, and its unit.
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0"
	case d < time.Millisecond:
		return strconv.Itoa(int(d.Microseconds())) + " µs"
	case d < 100*time.Millisecond:
		return trim(float64(d)/float64(time.Millisecond)) + " ms"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < time.Minute:
		return trim(d.Seconds()) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < day:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d/day), int(d%day/time.Hour))
}

// Count writes a number with its thousands apart.
func Count(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(text) - 3; i > start; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// Amount writes a measured value with three figures at most, and a unit.
func Amount(v float64, unit string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	switch unit {
	case "s":
		return Span(time.Duration(v * float64(time.Second)))
	case "%":
		return trim(100*v) + " %"
	case "B":
		return bytesText(v)
	}
	if unit != "" {
		unit = " " + unit
	}
	for _, s := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(v) >= s.size {
			return trim(v/s.size*tenfold(s.name)) + s.name + unit
		}
	}
	return trim(v) + unit
}

// tenfold makes thousands of what begins to be shortened at ten thousand.
func tenfold(name string) float64 {
	if name == "k" {
		return 10
	}
	return 1
}

func bytesText(v float64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for math.Abs(v) >= step && i < len(units)-1 {
		v /= step
		i++
	}
	return trim(v) + " " + units[i]
}

func trim(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	default:
		return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
	}
}
