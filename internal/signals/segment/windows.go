package segment

import "time"

// Window is a stretch of time, searched from its end: what lies in [From, To).
type Window struct{ From, To int64 }

// windows goes through a stretch of time from its end, a piece at a time, until
// enough says so or the deadline has passed: so that a search which finds little
// in much ends in time, and can go on where it stopped. A piece grows while it
// takes little time. What it returns is where it stopped.
func windows(w Window, deadline time.Time, piece func(Window) (enough bool, err error)) (reached int64, err error) {
	const parts, quick = 64, 20 * time.Millisecond
	width := max(1, (w.To-w.From)/parts)
	for w.To > w.From {
		began := time.Now()
		from := max(w.From, w.To-width)
		enough, err := piece(Window{from, w.To})
		if err != nil {
			return w.To, err
		}
		w.To = from
		if enough || !time.Now().Before(deadline) {
			return w.To, nil
		}
		if time.Since(began) < quick {
			width *= 4
		}
	}
	return w.From, nil
}
