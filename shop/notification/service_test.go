package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/events"
	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
	orderv1 "github.com/gowarren/warren/shop/api/shop/order/v1"
	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/shop/notification/internal/mail/mailtest"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

// shop is a system with the notification service, and somebody who publishes
// what the other services would.
type shop struct {
	notificationv1.NotificationServiceClient
	t   testing.TB
	sys *warrentest.System
	db  *store.DB // of who publishes
}

func started(t testing.TB, settings ...string) *shop {
	t.Helper()
	text := "system: test\nauth: {issuer: warrentest, audience: warrentest}\nsettings:\n  " +
		strings.Join(append(settings, "notification.mail.pause: 30ms"), "\n  ") + "\n"
	file := filepath.Join(t.TempDir(), "warren.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, sys: warrentest.New(t, "--system-file", file)}
	s.sys.Token("nobody") // so that tokens are known before somebody asks
	nothing := fstest.MapFS{"0001_unused.sql": {Data: []byte(`CREATE TABLE unused (id BIGINT NOT NULL, PRIMARY KEY (id))`)}}
	s.sys.Run("publisher", func(ctx context.Context, app *warren.App) (err error) {
		s.db, err = app.Database(ctx, nothing)
		app.Events()
		return err
	})
	s.sys.Run("notification", setup)
	s.NotificationServiceClient = notificationv1.NewNotificationServiceClient(s.sys.Client())
	return s
}

// mailURL is the setting of a mail server of a test.
func mailURL(server *mailtest.Server, user string) string {
	return `notification.mail.url: "` + strings.Replace(server.URL, "://", "://"+user, 1) + "?ca=" + server.CA + `"`
}

func (s *shop) publish(messages ...proto.Message) {
	s.t.Helper()
	err := s.db.InTx(s.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for _, m := range messages {
			if err := events.Publish(ctx, tx, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// feed waits until a user was told so many things, and returns them.
func (s *shop) feed(user string, n int) []*notificationv1.Notification {
	s.t.Helper()
	ctx := s.sys.As(s.t.Context(), user)
	return warrentest.Eventually(s.t, "what "+user+" is told", func() ([]*notificationv1.Notification, bool) {
		resp, err := s.ListNotifications(ctx, &notificationv1.ListNotificationsRequest{PageSize: 100})
		if err != nil {
			s.t.Fatal(err)
		}
		return resp.GetNotifications(), len(resp.GetNotifications()) >= n
	})
}

// emails waits until so many e-mails are in a state.
func (s *shop) emails(state notificationv1.EmailState, n int) []*notificationv1.Email {
	s.t.Helper()
	ctx := s.sys.As(s.t.Context(), "root", "staff")
	return warrentest.Eventually(s.t, "e-mails that are "+state.String(), func() ([]*notificationv1.Email, bool) {
		resp, err := s.ListEmails(ctx, &notificationv1.ListEmailsRequest{State: state})
		if err != nil {
			s.t.Fatal(err)
		}
		return resp.GetEmails(), len(resp.GetEmails()) >= n
	})
}

func story() []proto.Message {
	total := &moneyv1.Money{CurrencyCode: "GBP", MinorUnits: 255}
	return []proto.Message{
		&orderv1.OrderPlaced{OrderId: "o1", CustomerId: "ada", Total: total}, // nobody is told
		&orderv1.OrderConfirmed{OrderId: "o1", CustomerId: "ada", Total: total},
		&shippingv1.ShipmentShipped{ShipmentId: "s1", OrderId: "o1", CustomerId: "ada", TrackingNumber: "TRACK7"},
		&shippingv1.ShipmentDelivered{ShipmentId: "s1", OrderId: "o1", CustomerId: "ada"},
		&orderv1.OrderRefunded{OrderId: "o1", CustomerId: "ada", Total: total, Reason: "broken"},
		&orderv1.OrderRejected{OrderId: "o2", CustomerId: "ada", Total: total, Reason: "sold out"},
		&orderv1.OrderCancelled{OrderId: "o3", CustomerId: "ada", Total: total},
	}
}

// TestWhatHappensIsToldOnce publishes the story of a customer twice, and before
// it is known who the customer is: each thing stands once in the feed, and comes
// once by e-mail, over TLS and with a password.
func TestWhatHappensIsToldOnce(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{User: "shop", Password: "secret"})
	server.Fail(mailtest.Fault{At: "RCPT", Reply: "451 later"}, mailtest.Fault{At: "DATA", Close: true}, mailtest.Fault{At: ".", Reply: "452 full"})
	s := started(t, mailURL(server, "shop:secret@"))
	s.publish(story()...)
	s.feed("ada", 6)
	if n := len(server.Mails()); n != 0 {
		t.Errorf("%d e-mails to nobody knows where", n)
	}
	s.publish(story()...)
	s.publish(&identityv1.UserRegistered{UserId: "ada", Email: "ada@example.com", DisplayName: "Ada <b>L</b>"})
	told := s.feed("ada", 7)
	kinds := map[notificationv1.Kind]int{}
	for _, n := range told {
		kinds[n.GetKind()]++
		if n.GetTitle() == "" || n.GetText() == "" || n.GetRead() || (n.GetOrderId() == "") != (n.GetKind() == notificationv1.Kind_WELCOME) {
			t.Errorf("%v", n)
		}
	}
	s.emails(notificationv1.EmailState_SENT, 7)
	// Whoever comes last shows that all before was heard.
	s.publish(&identityv1.UserRegistered{UserId: "bob", Email: "bob@example.com"})
	s.feed("bob", 1)
	s.emails(notificationv1.EmailState_SENT, 8)
	if again := s.feed("ada", 7); len(again) != 7 || len(kinds) != 7 {
		t.Errorf("%d things of %d kinds were told", len(again), len(kinds))
	}
	ids := map[string]int{}
	for _, m := range server.Mails() {
		ids[m.Header.Get("Message-ID")]++
		if !m.Encrypted || m.From != "shop@example.com" || m.To != "ada@example.com" && m.To != "bob@example.com" {
			t.Errorf("from %s to %s, encrypted %v", m.From, m.To, m.Encrypted)
		}
		if strings.Contains(string(m.Body), "<b>L</b>") && !strings.Contains(string(m.Body), "&lt;b&gt;L") {
			t.Error("a name is HTML")
		}
	}
	if len(ids) != 8 || len(server.Mails()) != 8 {
		t.Errorf("%d e-mails with %d ids", len(server.Mails()), len(ids))
	}
}

// TestTheServerHangsUpWithTheEmail: it is sent again, and has the same id.
func TestTheServerHangsUpWithTheEmail(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	server.Fail(mailtest.Fault{At: ".", Close: true, Keep: true})
	s := started(t, mailURL(server, ""))
	s.publish(&identityv1.UserRegistered{UserId: "ada", Email: "ada@example.com"})
	s.emails(notificationv1.EmailState_SENT, 1)
	mails := server.Mails()
	if len(mails) != 2 || mails[0].Header.Get("Message-ID") != mails[1].Header.Get("Message-ID") {
		t.Errorf("%d e-mails: %v", len(mails), mails)
	}
}

func TestWhatCannotBeSentIsParked(t *testing.T) {
	server := mailtest.New(t, mailtest.Options{})
	server.Fail(mailtest.Fault{At: "RCPT", Reply: "550 <ada@example.com> is nobody here"})
	s := started(t, mailURL(server, ""), "notification.mail.attempts: 3")
	s.publish(&identityv1.UserRegistered{UserId: "ada", Email: "ada@example.com"})
	refused := s.emails(notificationv1.EmailState_PARKED, 1)[0]
	if refused.GetAttempts() != 1 || strings.Contains(refused.GetLastError(), "ada@") || !strings.Contains(refused.GetLastError(), "550") {
		t.Errorf("%v", refused)
	}
	// An order of somebody unknown: after some attempts it is given up, too.
	s.publish(&orderv1.OrderConfirmed{OrderId: "o1", CustomerId: "ghost"})
	if gone := s.emails(notificationv1.EmailState_PARKED, 2); gone[0].GetAttempts() != 3 || !strings.Contains(gone[0].GetLastError(), "address") {
		t.Errorf("%v", gone)
	}
	if _, err := s.RetryEmail(s.sys.As(t.Context(), "root", "staff"), &notificationv1.RetryEmailRequest{EmailId: refused.GetEmailId()}); err != nil {
		t.Fatal(err)
	}
	s.emails(notificationv1.EmailState_SENT, 1)
	if n := len(server.Mails()); n != 1 {
		t.Errorf("%d e-mails", n)
	}
}

func TestWhoMayWhat(t *testing.T) {
	s := started(t)
	s.publish(&identityv1.UserRegistered{UserId: "ada", Email: "ada@example.com"}, &orderv1.OrderConfirmed{OrderId: "o1", CustomerId: "ada"})
	told := s.feed("ada", 2)
	s.emails(notificationv1.EmailState_SENT, 2) // into the inbox
	bob := s.sys.As(t.Context(), "bob", "customer")
	if resp, err := s.ListNotifications(bob, &notificationv1.ListNotificationsRequest{}); err != nil || len(resp.GetNotifications()) != 0 {
		t.Errorf("bob reads %v, %v", resp, err)
	}
	if _, err := s.MarkRead(bob, &notificationv1.MarkReadRequest{NotificationId: told[0].GetNotificationId()}); !warrentest.Refused(err, notificationv1.Reason_NOTIFICATION_NOT_FOUND) {
		t.Errorf("bob marks what ada reads: %v", err)
	}
	if _, err := s.ListEmails(bob, &notificationv1.ListEmailsRequest{State: notificationv1.EmailState_SENT}); rpc.FromError(err).Code != codes.PermissionDenied {
		t.Errorf("bob lists e-mails: %v", err)
	}
	ada := s.sys.As(t.Context(), "ada", "customer")
	first, err := s.ListNotifications(ada, &notificationv1.ListNotificationsRequest{PageSize: 1})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatal(first, err)
	}
	if _, err := s.ListNotifications(bob, &notificationv1.ListNotificationsRequest{PageSize: 1, PageToken: first.GetNextPageToken()}); !warrentest.Refused(err, notificationv1.Reason_BAD_PAGE_TOKEN) {
		t.Errorf("bob turns ada's page: %v", err)
	}
	second, err := s.ListNotifications(ada, &notificationv1.ListNotificationsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	if err != nil || len(second.GetNotifications()) != 1 || second.GetNextPageToken() != "" {
		t.Fatal(second, err)
	}
	if _, err := s.MarkRead(ada, &notificationv1.MarkReadRequest{NotificationId: second.GetNotifications()[0].GetNotificationId()}); err != nil {
		t.Fatal(err)
	}
	s.overHTTP(told[0].GetNotificationId())
}

// overHTTP reads what is unread through the gateway, marks all of it, and looks
// that nothing is left.
func (s *shop) overHTTP(newest string) {
	s.t.Helper()
	gateway := s.sys.Gateway()
	ask := func(method, path, body string) (int, string) {
		req, err := http.NewRequestWithContext(s.t.Context(), method, gateway+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.sys.Token("ada", "customer"))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	unread := func() int {
		status, text := ask("GET", "/v1/notifications?unread=true", "")
		var list struct {
			Notifications []map[string]any `json:"notifications"`
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil || status != http.StatusOK {
			s.t.Fatalf("%d %s: %v", status, text, err)
		}
		return len(list.Notifications)
	}
	if n := unread(); n != 1 {
		s.t.Errorf("%d are unread", n)
	}
	if status, text := ask("POST", "/v1/notifications:readAll", `{"notificationId": "`+newest+`"}`); status != http.StatusOK {
		s.t.Errorf("%d %s", status, text)
	}
	if n := unread(); n != 0 {
		s.t.Errorf("%d are unread after all were read", n)
	}
}
