package main

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/page"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// service implements the contract. What the contract says (who may call, what
// is valid, how long it may take) is enforced before a method here is called.
type service struct {
	notificationv1.UnimplementedNotificationServiceServer
	feeds  *feeds
	pages  *page.Tokens
	mailer *mailer
	now    func() time.Time
}

const (
	feedPage, maxFeedPage = 20, 100
	mailPage, maxMailPage = 50, 200
)

func (s *service) ListNotifications(ctx context.Context, req *notificationv1.ListNotificationsRequest) (*notificationv1.ListNotificationsResponse, error) {
	user := auth.FromContext(ctx).Subject
	query := "notifications\n" + strconv.FormatBool(req.GetUnread()) + "\n" + user
	before, err := s.position(ctx, req.GetPageToken(), query)
	if err != nil {
		return nil, err
	}
	size := min(cmp.Or(int(req.GetPageSize()), feedPage), maxFeedPage)
	list, err := s.feeds.list(ctx, user, req.GetUnread(), before, size+1) // one more tells whether there is a next page
	if err != nil {
		return nil, err
	}
	list, next, err := page.Cut(ctx, s.pages, query, list, size, notification.place)
	if err != nil {
		return nil, err
	}
	resp := &notificationv1.ListNotificationsResponse{NextPageToken: next}
	for _, n := range list {
		resp.Notifications = append(resp.Notifications, n.message())
	}
	return resp, nil
}

// position reads where a page begins: nil for the first.
func (s *service) position(ctx context.Context, token, query string) (*place, error) {
	if token == "" {
		return nil, nil
	}
	before := &place{}
	return before, s.pages.Read(ctx, token, query, before)
}

func (s *service) MarkRead(ctx context.Context, req *notificationv1.MarkReadRequest) (*notificationv1.Notification, error) {
	n, err := s.feeds.markRead(ctx, auth.FromContext(ctx).Subject, req.GetNotificationId(), s.now())
	if err != nil {
		return nil, err
	}
	return n.message(), nil
}

func (s *service) MarkAllRead(ctx context.Context, req *notificationv1.MarkAllReadRequest) (*notificationv1.MarkAllReadResponse, error) {
	if err := s.feeds.markAllRead(ctx, auth.FromContext(ctx).Subject, req.GetNotificationId(), s.now()); err != nil {
		return nil, err
	}
	return &notificationv1.MarkAllReadResponse{}, nil
}

func (s *service) ListEmails(ctx context.Context, req *notificationv1.ListEmailsRequest) (*notificationv1.ListEmailsResponse, error) {
	query := "emails\n" + req.GetState().String()
	before, err := s.position(ctx, req.GetPageToken(), query)
	if err != nil {
		return nil, err
	}
	state := waiting
	for of, message := range stateMessage {
		if message == req.GetState() {
			state = of
		}
	}
	size := min(cmp.Or(int(req.GetPageSize()), mailPage), maxMailPage)
	list, err := s.feeds.emails(ctx, state, before, size+1)
	if err != nil {
		return nil, err
	}
	list, next, err := page.Cut(ctx, s.pages, query, list, size, email.place)
	if err != nil {
		return nil, err
	}
	resp := &notificationv1.ListEmailsResponse{NextPageToken: next}
	for _, e := range list {
		resp.Emails = append(resp.Emails, e.message())
	}
	return resp, nil
}

func (s *service) RetryEmail(ctx context.Context, req *notificationv1.RetryEmailRequest) (*notificationv1.Email, error) {
	e, err := s.feeds.retry(ctx, req.GetEmailId(), s.now())
	if err != nil {
		return nil, err
	}
	s.mailer.wake()
	return e.message(), nil
}
