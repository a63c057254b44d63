// Command notification tells users what happened: on their page, and by e-mail.
// It hears of it by events.
//
// A thing is told once: what was told has an id made of what it is about. Its
// e-mail is kept in the same transaction and sent afterwards, again and again
// until the mail server takes it, refuses it for good, or was tried
// notification.mail.attempts times; then it is parked, and staff sees it.
//
// The setting notification.mail.url names the mail server; package mail, in
// internal/mail, says how. While it is empty, e-mails go into the table inbox.
package main

import (
	"context"
	"time"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/page"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// cleanPeriod is how often what was kept for long enough is removed.
const cleanPeriod = time.Hour

func main() { warren.Main(setup) }

func setup(ctx context.Context, app *warren.App) error {
	db, err := app.Database(ctx, migrations)
	if err != nil {
		return err
	}
	settings, feeds := watchSettings(app.Settings()), newFeeds(db)
	mailer := newMailer(feeds, settings, app.Logger(), time.Now)
	notificationv1.RegisterNotificationServiceServer(app, &service{
		feeds: feeds, pages: page.New(db, notificationv1.Reason_BAD_PAGE_TOKEN), mailer: mailer, now: time.Now,
	})
	app.Go("e-mails", mailer.work)
	app.Go("clean up", func(ctx context.Context) error {
		return every(ctx, cleanPeriod, func(ctx context.Context) error { return feeds.clean(ctx, time.Now().Add(-settings.keep.Get())) })
	})
	return (&listener{now: time.Now, mail: mailer.wake}).subscribe(app)
}

// every does f at once and then once per period, until ctx ends or f goes wrong.
func every(ctx context.Context, period time.Duration, f func(context.Context) error) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if err := f(ctx); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
