package scrub_test

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/gowarren/warren/internal/signals/scrub"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"paid with 4111111111111111", "paid with [redacted]"},
		{"paid with 4111 1111 1111 1111 today", "paid with [redacted] today"},
		{"4111-1111-1111-1111.", "[redacted]."},
		{"amex 378282246310005,", "amex [redacted],"},
		{"20 4111 1111 1111 1111", "20 [redacted]"},
		{"two: 4111111111111111 5555555555554444", "two: [redacted] [redacted]"},
		{`{"number":"4111111111111111"}`, `{"number":"[redacted]"}`},
		{"4111111111111112", "4111111111111112"},             // the check digit is wrong
		{"at 1795265934771128260", "at 1795265934771128260"}, // nanoseconds
		{"a4111111111111111f", "a4111111111111111f"},         // within an id
		{"4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"},
		{"", ""},
		{"nothing here", "nothing here"},
	} {
		if got, n := scrub.Text(c.in); got != c.out || (n > 0) != (c.in != c.out) {
			t.Errorf("Text(%q) = %q, %d; want %q", c.in, got, n, c.out)
		}
	}
}

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
