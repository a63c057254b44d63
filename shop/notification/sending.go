package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gowarren/warren/shop/notification/internal/mail"
)

const (
	claimed = 8               // how many e-mails are sent side by side
	look    = 2 * time.Second // how often, at least, is looked for what is due
)

// mailer sends the e-mails that wait. An e-mail may reach the mail server twice
// when this process dies between the server's yes and the note of it: then both
// have the same Message-ID.
type mailer struct {
	feeds    *feeds
	settings *settings
	log      *slog.Logger
	now      func() time.Time
	woken    chan struct{}
}

func newMailer(f *feeds, s *settings, log *slog.Logger, now func() time.Time) *mailer {
	return &mailer{feeds: f, settings: s, log: log, now: now, woken: make(chan struct{}, 1)}
}

// wake has the worker look at once.
func (m *mailer) wake() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// work sends what is due until ctx ends.
func (m *mailer) work(ctx context.Context) error {
	for ctx.Err() == nil {
		n, err := m.round(ctx)
		if err == nil && n < claimed {
			err = m.rest(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// rest waits until there may be something to do.
func (m *mailer) rest(ctx context.Context) error {
	at, there, err := m.feeds.due(ctx)
	if err != nil {
		return err
	}
	wait := look
	if there {
		// Other instances may be at it: not more often than a few times per second.
		wait = min(max(at.Sub(m.now()), 20*time.Millisecond), look)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.woken:
	case <-ctx.Done():
	}
	return nil
}

// round sends the e-mails that are due now and returns how many they were.
func (m *mailer) round(ctx context.Context) (int, error) {
	// Twice as long as the server may take, so that nobody else sends it meanwhile.
	due, err := m.feeds.claim(ctx, m.now(), 2*m.settings.patience.Get()+time.Second, claimed)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	for _, e := range due {
		all.Go(func() { m.attempt(ctx, e) })
	}
	all.Wait()
	return len(due), nil
}

// attempt sends an e-mail and notes what came of it.
func (m *mailer) attempt(ctx context.Context, e email) {
	o := m.send(ctx, e)
	if o.err != nil && ctx.Err() != nil {
		return // not the e-mail's fault: its lease ends
	}
	e, due := e.after(o, m.settings.attempts.Get(), m.settings.pause.Get(), m.settings.longest.Get(), m.now())
	if o.err != nil {
		m.log.WarnContext(ctx, "e-mail was not sent", "email", e.id, "attempts", e.attempts, "parked", e.state == parked, "error", e.problem)
	}
	// What was sent is noted although the process is about to end.
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.feeds.settle(note, e, due); err != nil {
		m.log.WarnContext(ctx, "e-mail waits until its lease ends", "email", e.id, "error", err)
	}
}

var errNoAddress = errors.New("the user's address is not known yet")

func (m *mailer) send(ctx context.Context, e email) outcome {
	address, name, known, err := m.feeds.contact(ctx, e.user)
	if err == nil && !known {
		err = errNoAddress
	}
	if err != nil {
		return outcome{err: err}
	}
	e.facts.Name = name
	subject, text, html, err := letter(e.kind, e.facts)
	if err != nil {
		return outcome{err: err, final: true}
	}
	send, err := m.sender(e.user)
	if err != nil {
		return outcome{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, m.settings.patience.Get())
	defer cancel()
	err = send(ctx, mail.Message{
		ID: e.id, From: m.settings.from.Get(), To: address, Name: name, Subject: subject, Text: text, HTML: html, Date: e.created,
	})
	return outcome{err: without(err, address), final: errors.Is(err, mail.ErrRefused)}
}

// sender returns who sends e-mails now: the setting may have changed.
func (m *mailer) sender(user string) (mail.Sender, error) {
	if url := string(m.settings.url.Get()); url != "" {
		return mail.Open(url)
	}
	return inbox{db: m.feeds.db, user: user}.send, nil
}

// without takes an address out of what a mail server said, before it is logged
// and kept.
func without(err error, address string) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), address, "the recipient"))
}
