package console

import (
	"fmt"
	"time"

	"github.com/gowarren/warren/internal/console/frame"
)

// Href leads from a fact of a span or a line to the page about what it names.
func (f fact) Href() string {
	if f.Value == "" || f.Value == "–" {
		return ""
	}
	switch f.Name {
	case "gid", "warren.txn.gid":
		return txnHref(f.Value)
	case "order_id", "shop.order.id":
		return "/search?q=" + queryEscape(f.Value)
	case "messaging.destination.name":
		return topicHref(f.Value)
	}
	return ""
}

// tracesOf lists the traces of a transaction or an order, from a while before it
// is known to have begun.
func tracesOf(name, value string, began time.Time) string {
	const before = time.Hour
	return fmt.Sprintf("/traces?%s=%s&from=%d", name, queryEscape(value), began.Add(-before).UnixMilli())
}

// linesNaming are the log lines that name a transaction or an order.
func linesNaming(id string, began time.Time) string {
	return fmt.Sprintf("/logs?q=%s&from=%d", queryEscape(`"`+id+`"`), began.Add(-time.Minute).UnixMilli())
}

// orderLinks lead from an order to all that is known of it.
func orderLinks(order string, began time.Time) []frame.Link {
	return []frame.Link{
		{Text: "its traces", Href: tracesOf("order-id", order, began)}, {Text: "its log lines", Href: linesNaming(order, began)},
	}
}
