package main

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "github.com/gowarren/warren/shop/api/shop/money/v1"
	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// facts are what a notification is about: what its template needs.
type facts struct {
	Order    string `json:"order,omitempty"`
	Total    string `json:"total,omitempty"` // as people read it
	Reason   string `json:"reason,omitempty"`
	Tracking string `json:"tracking,omitempty"`
	Name     string `json:"-"` // of the user; not known when it is written
}

// notification is one thing that a user is told.
type notification struct {
	id      string
	user    string
	kind    notificationv1.Kind
	facts   facts
	title   string
	text    string
	read    bool
	created time.Time
}

// newNotification returns a notification whose id is made of what it tells and
// to whom: whoever makes it again makes the same one. Times are kept to the
// microsecond.
func newNotification(user string, kind notificationv1.Kind, f facts, now time.Time) (notification, error) {
	sum := sha256.Sum256([]byte(kind.String() + "\x00" + user + "\x00" + f.Order))
	n := notification{
		id: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20])), user: user, kind: kind, facts: f,
		created: now.UTC().Truncate(time.Microsecond),
	}
	var err error
	n.title, n.text, err = words(kind, f)
	return n, err
}

func (n notification) message() *notificationv1.Notification {
	return &notificationv1.Notification{
		NotificationId: n.id, Kind: n.kind, Title: n.title, Text: n.text, OrderId: n.facts.Order, Read: n.read,
		CreateTime: timestamppb.New(n.created),
	}
}

// amount writes money as people read it: "GBP 2.55". Nothing is "".
func amount(m *moneyv1.Money) string {
	if m == nil {
		return ""
	}
	return m.Text()
}
