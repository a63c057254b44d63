package main

import "net/http"

// failure is the page of an error.
type failure struct {
	Status  int
	Heading string
	Text    string
	Request string // its id
	// Retry is where to try again: only what was only looked at.
	Retry string
	Wait  int // seconds
}

func (f failure) title() string { return f.Heading }

// reload has browsers come back by themselves when something was only away.
func (f failure) reload() int { return f.Wait }

// failureOf says what went wrong in words for people.
func failureOf(p *problem, v *visit) failure {
	f := failure{Status: p.Status, Request: v.id}
	if p.RequestID != "" {
		f.Request = p.RequestID
	}
	if v.r.Method == http.MethodGet {
		f.Retry = v.r.URL.RequestURI()
	} else {
		f.Retry = v.from()
	}
	switch p.Status {
	case http.StatusNotFound:
		f.Heading, f.Text, f.Retry = "This burrow is empty", "We looked everywhere, but there is no such page or product here.", ""
	case http.StatusTooManyRequests:
		f.Heading, f.Text = "A little too fast", "You asked for more than we can hand over at once. Please wait a moment and try again."
	case http.StatusForbidden:
		f.Heading, f.Text = "That form has gone stale",
			"It was filled in too long ago, in another window, or your browser sent no cookie. Please go back and send it once more."
	case http.StatusRequestEntityTooLarge:
		f.Heading, f.Text = "That was too much", "What was sent is longer than anything we ask for."
	case http.StatusBadRequest:
		f.Heading, f.Text = "We didn't understand that", "Something in the address or the form is not as we expect it."
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusBadGateway:
		f.Status = http.StatusServiceUnavailable
		f.Heading, f.Text = "Back in a moment", "A part of the shop is taking a short break. Nothing of yours is lost: please try again."
		if v.r.Method == http.MethodGet {
			f.Wait = max(3, int(p.retryAfter.Seconds()))
		}
	default:
		f.Heading, f.Text = "Something went wrong", "That was our fault, and it was noted. Please try again."
	}
	return f
}
