package main

import (
	"math"
	"slices"
	"testing"
	"time"

	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/warrentest"
)

func TestLinesHaveOneOrder(t *testing.T) {
	got, err := tidyLines([]*inventoryv1.Line{{Sku: "b2", Quantity: 1}, {Sku: "A1", Quantity: 2}, {Sku: "B2", Quantity: 3}})
	if want := []line{{"A1", 2}, {"B2", 4}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := tidyLines([]*inventoryv1.Line{{Quantity: 1}}); !warrentest.Refused(err, inventoryv1.Reason_BAD_SKU) {
		t.Errorf("a line of nothing: %v", err)
	}
}

func TestStockIsNeverNegativeAndNeverPromisedTwice(t *testing.T) {
	s := stock{sku: "A1", onHand: 10, reserved: 4}
	for name, c := range map[string]struct {
		onHand, reserved int64
		refused          inventoryv1.Reason
	}{
		"reserve what is there":      {0, 6, 0},
		"reserve more":               {0, 7, inventoryv1.Reason_OUT_OF_STOCK},
		"take what is free":          {-6, 0, 0},
		"take what is promised":      {-7, 0, inventoryv1.Reason_OUT_OF_STOCK},
		"sell what is promised":      {-4, -4, 0},
		"deliver more than counted":  {maxOnHand, 0, inventoryv1.Reason_TOO_MUCH},
		"deliver up to what counted": {maxOnHand - 10, 0, 0},
		"take more than anything":    {math.MinInt32, 0, inventoryv1.Reason_OUT_OF_STOCK},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.check(movement{sku: "A1", onHand: c.onHand, reserved: c.reserved})
			if c.refused == 0 && err != nil || c.refused != 0 && !warrentest.Refused(err, c.refused) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := s.check(movement{onHand: -5, reserved: -5}); err == nil {
		t.Error("more was sold than is promised")
	}
}

func TestEachKindMovesStockItsWay(t *testing.T) {
	for kind, want := range map[inventoryv1.MovementKind][2]int64{ // on hand, reserved
		inventoryv1.MovementKind_INITIAL:   {3, 0},
		inventoryv1.MovementKind_RESERVED:  {0, 3},
		inventoryv1.MovementKind_RELEASED:  {0, -3},
		inventoryv1.MovementKind_EXPIRED:   {0, -3},
		inventoryv1.MovementKind_SOLD:      {-3, -3},
		inventoryv1.MovementKind_RESTOCKED: {3, 0},
	} {
		got := moved(kind, "r1", []line{{"A1", 3}})
		if len(got) != 1 || got[0].onHand != want[0] || got[0].reserved != want[1] || got[0].reference != "r1" {
			t.Errorf("%v: got %+v", kind, got)
		}
	}
}

// Every state is asked for every change: what is allowed stands here.
func TestTheWaysOfAReservation(t *testing.T) {
	after := at.Add(2 * time.Hour)
	for _, c := range []struct {
		from    inventoryv1.ReservationState
		does    string
		to      inventoryv1.ReservationState // 0: stays
		refused inventoryv1.Reason
	}{
		{held, "release", givenBack, 0},
		{held, "confirm", confirmed, 0},
		{held, "lapse", lapsed, 0},
		{givenBack, "release", 0, 0},
		{givenBack, "confirm", 0, inventoryv1.Reason_RESERVATION_ENDED},
		{givenBack, "lapse", 0, 0},
		{lapsed, "release", 0, 0},
		{lapsed, "confirm", confirmed, 0},
		{lapsed, "lapse", 0, 0},
		{confirmed, "release", 0, inventoryv1.Reason_RESERVATION_CONFIRMED},
		{confirmed, "confirm", 0, 0},
		{confirmed, "lapse", 0, 0},
	} {
		r := reservation{id: "r1", state: c.from, expires: at.Add(time.Hour)}
		got, err := map[string]func() (step, error){
			"release": r.release, "confirm": r.confirm, "lapse": func() (step, error) { return r.lapse(after), nil },
		}[c.does]()
		if got.to != c.to || c.refused == 0 && err != nil || c.refused != 0 && !warrentest.Refused(err, c.refused) {
			t.Errorf("%s a reservation that is %v: got %v, %v", c.does, c.from, got.to, err)
		}
		if (len(got.movements) > 0) != (c.to != 0) {
			t.Errorf("%s a reservation that is %v: moves %v", c.does, c.from, got.movements)
		}
	}
	if early := (reservation{state: held, expires: after}).lapse(at); early.movements != nil {
		t.Error("a reservation lapsed early")
	}
}

func TestReservationsEndInTheFutureAndSoon(t *testing.T) {
	for expires, fine := range map[time.Time]bool{
		at: false, at.Add(-time.Hour): false, at.Add(time.Second): true, at.Add(maxKeep): true, at.Add(maxKeep + time.Second): false,
	} {
		if err := (reservation{expires: expires}).checkExpiry(at); (err == nil) != fine || err != nil && !warrentest.Refused(err, inventoryv1.Reason_BAD_EXPIRE_TIME) {
			t.Errorf("%v: %v", expires.Sub(at), err)
		}
	}
}

func TestTheFirstStockIsAlwaysTheSame(t *testing.T) {
	if a, b := firstStock("85123A"), firstStock("85123A"); a != b || a < 500 || a >= 2500 {
		t.Errorf("got %d, %d", a, b)
	}
	if firstStock("85123A") == firstStock("71053") {
		t.Error("all products have the same stock")
	}
}

func TestAnAuditFindsWhatIsWrong(t *testing.T) {
	right := account{stock: stock{sku: "A1", onHand: 5, reserved: 2, version: 3}, sumOnHand: 5, sumReserved: 2, count: 3, last: 3, promised: 2}
	if problem := right.problem(); problem != "" {
		t.Error(problem)
	}
	for name, spoil := range map[string]func(*account){
		"negative":         func(a *account) { a.onHand, a.sumOnHand = -1, -1 },
		"oversold":         func(a *account) { a.reserved, a.sumReserved, a.promised = 6, 6, 6 },
		"on hand":          func(a *account) { a.sumOnHand = 6 },
		"reserved":         func(a *account) { a.sumReserved = 1 },
		"not promised":     func(a *account) { a.promised = 0 },
		"a movement lost":  func(a *account) { a.count = 2 },
		"one too many":     func(a *account) { a.count, a.last = 4, 4 },
		"versions skipped": func(a *account) { a.last = 4 },
	} {
		a := right
		if spoil(&a); a.problem() == "" {
			t.Errorf("%s: nothing is found", name)
		}
	}
}
