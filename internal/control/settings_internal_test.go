package control

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/config/fileconfig"
	"github.com/gowarren/warren/warrentest"
)

// settled answers for a centre that knows three settings, one of them secret, and
// for a system file that says something of two, and of one that nobody knows.
func settled(t *testing.T) *settings {
	t.Helper()
	centre, err := fileconfig.Open(t.Context(), &url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "settings.json")})
	if err != nil {
		t.Fatal(err)
	}
	definitions := []config.Definition{
		{Name: "test.pause", Type: "duration", Default: "2s", Min: "1s", Max: "1m0s", Doc: "how long it waits"},
		{Name: "test.mode", Type: "enum", Default: "slow", OneOf: []string{"slow", "fast"}, Doc: "how fast it goes"},
		{Name: "test.password", Type: "string", Secret: true, Doc: "what opens it"},
	}
	publisher, err := config.New(config.Options{Environment: "test", Service: "order", Driver: centre, Definitions: definitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		publisher.Close()
		if err := centre.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &settings{environment: "test", file: config.FileLayer{Entries: []config.FileEntry{
		{Name: "test.pause", Scope: config.Scope{Service: "order"}, Value: "3s", Position: "warren.yaml:7"},
		{Name: "test.password", Value: "pa55word"},
		{Name: "later.token", Value: "pa55word too"},
	}}}
	if s.centre, err = config.NewCentre(centre, "test"); err != nil {
		t.Fatal(err)
	}
	warrentest.Eventually(t, "the definitions", func() ([]config.Definition, bool) {
		known, err := s.centre.Definitions(t.Context())
		return known, err == nil && len(known) == len(definitions)
	})
	return s
}

func set(name, scope, value string) *settingsv1.SetRequest {
	return &settingsv1.SetRequest{Edits: []*settingsv1.Edit{{Name: name, Scope: scope, New: &value}}, Author: "ada", Reason: "to see"}
}

func TestSettingsAreListedByLayer(t *testing.T) {
	s := settled(t)
	for _, req := range []*settingsv1.SetRequest{set("test.pause", "all", "5s"), set("test.password", "order", "pa55word three")} {
		if _, err := s.Set(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context(), &settingsv1.ListRequest{})
	if err != nil || list.GetEnvironment() != "test" || list.GetRevision() != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	var got []string
	for _, one := range list.GetSettings() {
		for _, v := range one.GetValues() {
			got = append(got, strings.TrimSpace(strings.Join([]string{one.GetName(), v.GetScope(), v.GetValue(), v.GetLayer(), v.GetPosition()}, " ")))
		}
	}
	want := []string{
		"later.token all [redacted] file", // which may be a secret: nobody says
		"test.password order [redacted] centre", "test.password all [redacted] file",
		"test.pause all 5s centre", "test.pause order 3s file warren.yaml:7",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(list.String(), "pa55word") {
		t.Errorf("a secret is told: %v", list)
	}
	mode := list.GetSettings()[1]
	if mode.GetName() != "test.mode" || mode.GetDefault() != "slow" || len(mode.GetOneOf()) != 2 || mode.GetDoc() == "" || len(list.GetSettings()) != 4 {
		t.Errorf("definitions: %v", list)
	}
}

func TestSettingsAreChangedAndTakenBack(t *testing.T) {
	s := settled(t)
	change, err := s.Set(t.Context(), set("test.mode", "order", "fast"))
	if err != nil || change.GetRevision() != 1 || change.GetAuthor() != "ada" || change.GetReason() != "to see" || change.GetTime() == nil {
		t.Fatalf("set: %v, %v", change, err)
	}
	edit := change.GetEdits()[0]
	if edit.GetScope() != "order" || edit.Old != nil || edit.GetNew() != "fast" {
		t.Errorf("edit: %v", edit)
	}
	same, err := s.Set(t.Context(), set("test.mode", "order", "fast"))
	if err != nil || len(same.GetEdits()) != 0 {
		t.Errorf("the same again: %v, %v", same, err)
	}
	unset, err := s.Set(t.Context(), &settingsv1.SetRequest{Edits: []*settingsv1.Edit{{Name: "test.mode", Scope: "order"}}, Author: "ada", Reason: "no more"})
	if err != nil || unset.GetRevision() != 2 || unset.GetEdits()[0].New != nil || unset.GetEdits()[0].GetOld() != "fast" {
		t.Errorf("unset: %v, %v", unset, err)
	}
	back, err := s.Rollback(t.Context(), &settingsv1.RollbackRequest{Revision: 1, Author: "grace", Reason: "it was better"})
	if err != nil || back.GetRevision() != 3 || back.GetAuthor() != "grace" || back.GetEdits()[0].GetNew() != "fast" {
		t.Errorf("rollback: %v, %v", back, err)
	}
	history, err := s.History(t.Context(), &settingsv1.HistoryRequest{Limit: 2})
	if err != nil || len(history.GetChanges()) != 2 || history.GetChanges()[0].GetRevision() != 3 || history.GetChanges()[1].GetReason() != "no more" {
		t.Errorf("history: %v, %v", history, err)
	}
	diff, err := s.Diff(t.Context(), &settingsv1.DiffRequest{From: 2, To: 3})
	if err != nil || len(diff.GetEdits()) != 1 || diff.GetEdits()[0].GetNew() != "fast" {
		t.Errorf("diff: %v, %v", diff, err)
	}
}

func TestSettingsRefuse(t *testing.T) {
	s := settled(t)
	try := func(req *settingsv1.SetRequest) error {
		_, err := s.Set(t.Context(), req)
		return err
	}
	anonymous := set("test.mode", "all", "fast")
	anonymous.Reason = ""
	_, rollback := s.Rollback(t.Context(), &settingsv1.RollbackRequest{Revision: 9, Author: "ada", Reason: "to see"})
	_, diff := s.Diff(t.Context(), &settingsv1.DiffRequest{From: 9})
	for _, c := range []struct {
		name string
		err  error
		says string
	}{
		{"out of range", try(set("test.pause", "all", "2m")), "test.pause"},
		{"of no type", try(set("test.pause", "all", "soon")), "a duration such as"},
		{"not one of", try(set("test.mode", "all", "fats")), "did you mean fast?"},
		{"unknown", try(set("test.mdoe", "all", "fast")), "test.mode"},
		{"nowhere", try(set("test.mode", "a b", "fast")), "a b"},
		{"no reason", try(anonymous), "reason"},
		{"no such revision to return to", rollback, "revision 9"},
		{"no such revision to compare", diff, "revision 9"},
	} {
		if status.Code(c.err) != codes.InvalidArgument || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
	if list, err := s.List(t.Context(), &settingsv1.ListRequest{}); err != nil || list.GetRevision() != 0 {
		t.Errorf("something was changed: %v, %v", list, err)
	}
}
