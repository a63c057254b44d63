package main

import (
	"net/http"
	"net/url"
	"strings"

	notificationv1 "github.com/gowarren/warren/shop/api/shop/notification/v1"
)

// news is what the customer was told, the latest first.
type news struct {
	Notifications []*notificationv1.Notification
	Unread        bool   // some of them are
	Latest        string // the id of the first
	Next, First   string
}

func (news) title() string { return "Notifications" }

func (v *visit) notifications() error {
	query := v.r.URL.Query()
	out := &notificationv1.ListNotificationsResponse{}
	if err := v.asUser(call{path: "/v1/notifications", query: url.Values{"page_size": {"20"}, "page_token": {query.Get("after")}}, out: out}); err != nil {
		return err
	}
	page := news{Notifications: out.GetNotifications()}
	for _, n := range page.Notifications {
		page.Unread = page.Unread || !n.GetRead()
		if id := n.GetOrderId(); id != "" { // as the order's page calls it
			n.Title = strings.ReplaceAll(n.GetTitle(), id, shortID(id))
		}
	}
	if len(page.Notifications) > 0 {
		page.Latest = page.Notifications[0].GetNotificationId()
	}
	page.First, page.Next = pages(v.r.URL, query, out.GetNextPageToken())
	return v.show(http.StatusOK, "news", page)
}

func (v *visit) readNotifications() error {
	in := &notificationv1.MarkAllReadRequest{NotificationId: v.form.Get("latest")}
	if err := v.asUser(call{method: http.MethodPost, path: "/v1/notifications:readAll", in: in}); err != nil && !refused(err) {
		return err
	}
	return v.redirect("/notifications", "read")
}

// iconOf is the sign of what a notification is about.
func iconOf(k notificationv1.Kind) string {
	switch k {
	case notificationv1.Kind_WELCOME:
		return "hello"
	case notificationv1.Kind_ORDER_SHIPPED:
		return "parcel"
	case notificationv1.Kind_ORDER_DELIVERED:
		return "house"
	case notificationv1.Kind_ORDER_REJECTED, notificationv1.Kind_ORDER_CANCELLED:
		return "stop"
	case notificationv1.Kind_ORDER_REFUNDED:
		return "coin"
	}
	return "check"
}
