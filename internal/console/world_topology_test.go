package console_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
)

// madeUpTopology are larger systems than the world's, to be looked at: the shop as
// it is, and one of sixty services.
func madeUpTopology(around []string) *observev1.TopologyResponse {
	switch strings.Join(around, " ") {
	case "the-shop":
		return drawnUp(`
			service:gateway: service:cart, service:catalog, service:identity, service:inventory, service:order, service:payment, service:storefront
			service:storefront: service:gateway, database:sqlite/storefront.db
			service:identity: database:sqlite/identity.db, topic:shop.identity.v1.UserRegistered
			service:catalog: database:sqlite/catalog.db
			service:cart: service:catalog, database:sqlite/cart.db
			service:inventory: database:sqlite/inventory.db, topic:shop.inventory.v1.StockChanged
			service:order: service:cart, service:catalog, service:coordinator, database:sqlite/order.db, topic:shop.order.v1.OrderConfirmed
			service:coordinator: service:inventory, service:order, service:payment, service:shipping, database:sqlite/coordinator.db
			service:payment: database:sqlite/payment.db, external:bank
			service:shipping: database:sqlite/shipping.db, topic:shop.shipping.v1.OrderShipped
			service:notification: service:identity, database:sqlite/notification.db
			topic:shop.identity.v1.UserRegistered: service:notification
			topic:shop.order.v1.OrderConfirmed: service:notification, service:cart
			topic:shop.shipping.v1.OrderShipped: service:notification, service:order
			topic:shop.inventory.v1.StockChanged: service:catalog`)
	case "sixty":
		return drawnUp(sixtyServices())
	}
	return nil
}

// sixtyServices are five tiers of twelve; each third has a database, each sixth an
// event.
func sixtyServices() string {
	var lines strings.Builder
	const services, tier = 60, 12
	name := func(n int) string { return fmt.Sprintf("service:service-%02d", n) }
	for n := range services {
		next := (n/tier + 1) * tier
		for k := range 2 {
			if next < services {
				fmt.Fprintf(&lines, "%s: %s\n", name(n), name(next+(n*5+k*7)%tier))
			}
		}
		if n%3 == 0 {
			fmt.Fprintf(&lines, "%s: database:sqlite/service-%02d.db\n", name(n), n)
		}
		if n%6 == 1 {
			fmt.Fprintf(&lines, "%s: topic:large.v1.Event%02d\ntopic:large.v1.Event%02d: %s\n", name(n), n, n, name((n*7+3)%services))
		}
	}
	return lines.String()
}

// drawnUp reads "who: whom, whom" lines.
func drawnUp(text string) *observev1.TopologyResponse {
	out := &observev1.TopologyResponse{}
	kinds := map[string]observev1.NodeKind{
		"service": observev1.NodeKind_NODE_KIND_SERVICE, "database": observev1.NodeKind_NODE_KIND_DATABASE,
		"topic": observev1.NodeKind_NODE_KIND_TOPIC, "external": observev1.NodeKind_NODE_KIND_EXTERNAL,
	}
	add := func(id string) {
		kind, name, _ := strings.Cut(id, ":")
		if !slices.ContainsFunc(out.GetNodes(), func(n *observev1.TopologyNode) bool { return n.GetId() == id }) {
			out.Nodes = append(out.Nodes, &observev1.TopologyNode{Id: id, Kind: kinds[kind], Name: name, Calls: 900, P95: durationpb.New(12 * time.Millisecond)})
		}
	}
	for line := range strings.Lines(text) {
		from, all, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		add(from)
		for to := range strings.SplitSeq(all, ", ") {
			add(to)
			out.Edges = append(out.Edges, &observev1.TopologyEdge{From: from, To: to, Calls: 900, CallsPerSecond: 1, P50: durationpb.New(time.Millisecond), P95: durationpb.New(12 * time.Millisecond)})
		}
	}
	return out
}
