package frame

import (
	"strconv"
	"strings"
	"time"
)

// Range is a span of time, as the URL says it: relative to now ("now-15m") or
// absolute (milliseconds since 1970, or RFC 3339).
type Range struct {
	From, To time.Time
	// RawFrom and RawTo are canonical; empty where they are the default.
	RawFrom, RawTo string
	// Wrong is a range that was asked for and is none: what is shown is another.
	Wrong bool
}

// defaultRange is what pages show where the URL says nothing.
const defaultRange = "now-15m"

// Presets are the ranges to choose from.
func Presets() []Preset {
	return []Preset{{"5 min", "now-5m"}, {"15 min", "now-15m"}, {"1 hour", "now-1h"}, {"6 hours", "now-6h"}, {"24 hours", "now-24h"}, {"7 days", "now-7d"}}
}

// Preset is a range with a name.
type Preset struct{ Name, From string }

// ParseRange reads the two ends of a range. What can't be read, or ends before it
// begins, is the default.
func ParseRange(from, to string, now time.Time) Range {
	r := Range{RawFrom: from, RawTo: to}
	var ok bool
	if r.To, ok = parseMoment(to, now); !ok {
		r.To, r.RawTo, r.Wrong = now, "", to != ""
	}
	if r.From, ok = parseMoment(from, now); !ok || !r.From.Before(r.To) {
		r.Wrong = r.Wrong || from != ""
		r.From, r.RawFrom = now.Add(-15*time.Minute), ""
		if !r.From.Before(r.To) {
			r.To, r.RawTo = now, ""
		}
	}
	if r.RawFrom == defaultRange {
		r.RawFrom = ""
	}
	if r.RawTo == "now" {
		r.RawTo = ""
	}
	return r
}

// Relative tells whether the range moves with time.
func (r Range) Relative() bool { return r.RawTo == "" }

// Name is the range in words.
func (r Range) Name() string {
	if !r.Relative() {
		return r.From.Format("2 Jan 15:04:05") + " – " + r.To.Format("2 Jan 15:04:05")
	}
	for _, p := range Presets() {
		if p.From == r.RawFrom || r.RawFrom == "" && p.From == defaultRange {
			return "Last " + p.Name
		}
	}
	return "Since " + r.From.Format("2 Jan 15:04:05")
}

// Millis are both ends as an absolute link has them.
func (r Range) Millis() (from, to string) {
	return strconv.FormatInt(r.From.UnixMilli(), 10), strconv.FormatInt(r.To.UnixMilli(), 10)
}

// parseMoment reads one end.
func parseMoment(text string, now time.Time) (time.Time, bool) {
	if text == "now" {
		return now, true
	}
	if ago, ok := strings.CutPrefix(text, "now-"); ok {
		d, ok := parseAgo(ago)
		return now.Add(-d), ok
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 {
		return time.UnixMilli(ms), true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.Local(), true
		}
	}
	return time.Time{}, false
}

func parseAgo(text string) (time.Duration, bool) {
	const day = 24 * time.Hour
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * day, err == nil && n > 0 && n < 10000
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// clock is a moment as people read it, by the system's clock: of another day than
// today with its date.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	switch {
	case t.Year() != now.Year():
		return t.Format("2 Jan 2006 15:04")
	case t.YearDay() != now.YearDay():
		return t.Format("2 Jan 15:04:05")
	}
	return t.Format(time.TimeOnly)
}

// eastOf is how far the system's clock is ahead of UTC, in minutes.
func eastOf(now time.Time) int {
	_, seconds := now.Zone()
	return seconds / int(time.Minute/time.Second)
}
