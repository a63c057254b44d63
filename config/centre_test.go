package config_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gowarren/warren/config"
)

// An answer that is lost on the way doesn't make a change fail, or happen twice.
func TestLostAnswer(t *testing.T) {
	m := newMemory()
	centre := newCentre(t, m)
	m.loseAnswers = true
	if c := set(t, centre, "rpc.timeout", config.Scope{}, time.Minute); c.Revision != 1 {
		t.Errorf("the change is revision %d", c.Revision)
	}
	if len(m.history["local"]) != 1 {
		t.Errorf("%d changes took place", len(m.history["local"]))
	}
}

func TestSetEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		centre, err := config.NewCentre(contended{m}, "local")
		if err != nil {
			t.Fatal(err)
		}
		newCentre(t, m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		value := "1s"
		_, err = centre.Set(ctx, []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "a test")
		contains(t, err, "changed by somebody else", "deadline")
	})
}

// contended is a centre where somebody else is always faster.
type contended struct{ *memory }

func (c contended) Publish(ctx context.Context, environment string, base int64, document, record []byte) error {
	return c.memory.Publish(ctx, environment, base+1, document, record)
}

func TestDocumentIsBounded(t *testing.T) {
	m := newMemory()
	centre := newCentre(t, m)
	huge := strings.Repeat("x", 600<<10)
	_, err := centre.Set(t.Context(), []config.Edit{{Name: "payment.key", New: &huge}}, "ann", "a test")
	contains(t, err, "may be 360 KiB")
}

// A setting that several services define must please all of them.
func TestEveryDefinitionCounts(t *testing.T) {
	m := newMemory()
	centre := newCentre(t, m)
	narrow := config.Duration("rpc.timeout", time.Second, time.Second, 10*time.Second, "")
	if err := centre.Define(t.Context(), "order", []config.Definition{narrow.Definition()}); err != nil {
		t.Fatal(err)
	}
	value := "1m"
	_, err := centre.Set(t.Context(), []config.Edit{{Name: "rpc.timeout", New: &value}}, "ann", "a test")
	contains(t, err, "largest allowed value, 10s", "as order defines it")

	secret := config.Definition{Name: "rpc.retry.attempts", Type: "int", Default: "1", Secret: true}
	contains(t, centre.Define(t.Context(), "order", []config.Definition{secret}), "published by rpc as int", "become secret int")
	contains(t, centre.Define(t.Context(), "No Service", nil), "service", "lower-case")
	damage := map[string][]byte{"order.size": []byte("{")}
	if err := m.Define(t.Context(), "order", damage); err != nil {
		t.Fatal(err)
	}
	if all, err := centre.Definitions(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("beside a damaged definition: %v, %v", all, err)
	}
	bad := config.Definition{Name: "rpc.other", Type: "int", Default: "many"}
	contains(t, centre.Define(t.Context(), "order", []config.Definition{bad}), "default of rpc.other")
}

// A rollback doesn't bring back what is refused by now.
func TestRollbackIsChecked(t *testing.T) {
	m := newMemory()
	centre := newCentre(t, m)
	set(t, centre, "rpc.timeout", config.Scope{}, time.Minute)
	set(t, centre, "rpc.timeout", config.Scope{}, 5*time.Second)
	narrow := config.Duration("rpc.timeout", time.Second, time.Second, 10*time.Second, "")
	if err := centre.Define(t.Context(), "order", []config.Definition{narrow.Definition()}); err != nil {
		t.Fatal(err)
	}
	_, err := centre.Rollback(t.Context(), 1, "ann", "a test")
	contains(t, err, "roll local back to revision 1", "largest allowed value, 10s")
}
