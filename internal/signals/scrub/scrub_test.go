package scrub_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/gowarren/warren/internal/signals/scrub"
)

func TestAttributes(t *testing.T) {
	m := pcommon.NewMap()
	m.PutStr("db.password", "hunter2")
	m.PutStr("card_number", "4242")
	m.PutStr("discarded", "yes")
	m.PutInt("number", 4111111111111111)
	m.PutDouble("float", 4111111111111111)
	m.PutEmptyBytes("raw").FromRaw([]byte("4111111111111111"))
	inner := m.PutEmptyMap("request")
	inner.PutStr("authorization", "Bearer abc")
	inner.PutEmptySlice("list").AppendEmpty().SetStr("5555555555554444")
	if n := scrub.Attributes(m); n != 7 {
		t.Errorf("redacted %d values, want 7: %v", n, m.AsRaw())
	}
	if v, _ := m.Get("discarded"); v.Str() != "yes" {
		t.Errorf("discarded became %q", v.Str())
	}
	if n := scrub.Attributes(m); n != 0 {
		t.Errorf("redacted %d values again", n)
	}
}
