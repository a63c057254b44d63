package alerting_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// The alerts of the repository's own system are held to what the shipped ones are.
func TestAlertsOfTheShop(t *testing.T) {
	const reservations, payments = `shop_stock_reservations_total{service="inventory",outcome=`, `shop_payments_total{service="payment",operation="hold",outcome=`
	cases := map[string][2]series{
		"StockReservationsFail": {
			{reservations + `"failed"}`: counter(10), reservations + `"reserved"}`: counter(90)},
			{reservations + `"failed"}`: counter(1), reservations + `"reserved"}`: counter(60), reservations + `"out_of_stock"}`: counter(60)},
		},
		"StockReservationsExpire": {{reservations + `"expired"}`: stepped(5, 1)}, {reservations + `"expired"}`: level(1), reservations + `"released"}`: counter(9)}},
		"StockOversold":           {{`shop_stock_oversold_products{service="inventory",instance="inventory/1"}`: level(1)}, {`shop_stock_oversold_products{service="inventory",instance="inventory/1"}`: level(0)}},
		"PaymentsFail": {
			{payments + `"failed"}`: counter(10), payments + `"done"}`: counter(90)},
			{payments + `"failed"}`: counter(1), payments + `"done"}`: counter(60), payments + `"refused"}`: counter(60)},
		},
	}
	text, err := os.ReadFile("../../alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/shop.md")
	if err != nil {
		t.Fatal(err)
	}
	config, err := alerting.Parse("alerts.yaml", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, g := range config.Rules(alerting.Timing{Scrape: 5 * time.Second, Evaluate: 10 * time.Second}) {
		for _, r := range g.Rules {
			both, ok := cases[r.Alert]
			if !ok {
				continue
			}
			checked++
			if !strings.Contains(string(page), "### "+r.Alert+"\n") {
				t.Errorf("docs/shop.md does not say what to do about %s", r.Alert)
			}
			for side, want := range []bool{true, false} {
				s, now := openStore(t, metricstore.Options{}), time.Now().Truncate(time.Second)
				write(t, s, now, both[side], written*60, -1)
				found, err := s.Query(t.Context(), r.Expr, now, 0)
				if err != nil {
					t.Fatal(err)
				}
				if fires := len(found.Series) > 0; fires != want {
					t.Errorf("%s, side %d: fires is %v, want %v: %v", r.Alert, side, fires, want, found.Series)
				}
			}
		}
	}
	if checked != len(cases) || checked != strings.Count(string(text), "runbook: docs/shop.md#") {
		t.Errorf("%d alerts were checked; the test knows %d", checked, len(cases))
	}
}
