package archive_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/gowarren/warren/internal/signals/archive"
	"github.com/gowarren/warren/internal/signals/segment"
)

// A secret is found also where something else stands under its name, where what
// holds it is too long, and in what is no attribute.
func TestNoSecretIsHidden(t *testing.T) {
	const card, password = "4111111111111111", "hunter2hunter2"
	a := open(t, t.TempDir(), nil)
	for _, text := range []string{
		`{"msg":"twice","note":"` + card + `","note":"ok"}`,
		`{"msg":"within","group":{"note":"` + card + `","note":"a: \"b\""},"other":[{"x":1}]}`,
		`{"msg":"redacted","password":"` + password + `","password":"[redacted]"}`,
		`{"msg":"long","request":{"password":"` + password + `","body":"` + strings.Repeat("y", 40<<10) + `"}}`,
		`{"msg":"once","note":"a: \"b\"","list":[{"x":1,"y":{}}]}`,
	} {
		a.AddOutput(archive.Output{Service: "s", Instance: "s/1", Time: time.Now(), Text: text})
	}
	td := traces(call{trace: 1, service: "s", name: "pay", start: time.Now()})
	scope := td.ResourceSpans().At(0).ScopeSpans().At(0)
	scope.Scope().Attributes().PutStr("token", password)
	scope.Spans().At(0).Events().AppendEmpty().SetName("charged " + card)
	if err := a.AddTraces(td); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all to be written", func() bool { st := a.Stats(); return st.Spans == 1 && st.Lines == 5 })
	found, err := a.SearchLines(segment.LineQuery{Limit: 10, Deadline: time.Now().Add(patience)})
	if err != nil || len(found.Items) != 5 {
		t.Fatalf("%d lines, %v", len(found.Items), err)
	}
	for _, l := range found.Items {
		if text := l.Message + string(l.Attributes); strings.Contains(text, card) || strings.Contains(text, password) {
			t.Errorf("the line %s holds %.200s", l.Message, l.Attributes)
		}
		if l.Message == "once" && string(l.Attributes) != `{"note":"a: \"b\"","list":[{"x":1,"y":{}}]}` {
			t.Errorf("what holds no secret is changed: %s", l.Attributes)
		}
	}
	_, chunks, err := a.Trace(segment.ID{1, 1})
	if err != nil || len(chunks) != 1 {
		t.Fatal(chunks, err)
	}
	text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(chunks[0])
	if err != nil || bytes.Contains(text, []byte(card)) || bytes.Contains(text, []byte(password)) {
		t.Errorf("the trace holds %s, %v", text, err)
	}
}
