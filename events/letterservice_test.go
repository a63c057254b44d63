package events_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gowarren/warren"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	"github.com/gowarren/warren/events"
	eventstestv1 "github.com/gowarren/warren/events/internal/testpb/eventstest/v1"
	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/warrentest"
)

// TestLetterService goes through what an operator does with a dead letter that
// holds secrets.
func TestLetterService(t *testing.T) {
	sys := warrentest.New(t)
	handled := make(chan *eventstestv1.Invited, 10)
	var db *store.DB
	for _, name := range []string{"other", "host"} {
		sys.Run(name, func(ctx context.Context, app *warren.App) (err error) {
			if db, err = app.Database(ctx, noTables); err != nil {
				return err
			}
			return events.Subscribe(app, func(_ context.Context, tx *store.Tx, e *eventstestv1.Invited) error {
				if name == "other" {
					return events.Skip
				}
				if e.GetUser() != "grace" {
					return events.DeadLetter("no such user as " + e.GetUser())
				}
				tx.AfterCommit(func() { handled <- e })
				return nil
			})
		})
	}
	for _, user := range []string{"ada", "bob"} {
		err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return events.Publish(ctx, tx, &eventstestv1.Invited{
				User: user, Password: "hunter2", Seed: []byte("seed"),
				Devices: []*eventstestv1.Device{{Name: "phone", Token: "t0ken"}},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	client := eventsv1.NewLetterServiceClient(sys.Client())
	ctx := rpc.ToService(sys.As(t.Context(), "root", "operator"), "host")
	by := &eventsv1.By{Reason: "a test"}
	var list *eventsv1.ListResponse
	var err error
	eventually(t, "two letters", func() bool {
		list, err = client.List(ctx, &eventsv1.ListRequest{})
		return err == nil && len(list.GetLetters()) == 2
	})
	list, err = client.List(ctx, &eventsv1.ListRequest{Filter: &eventsv1.Filter{Key: "ada"}})
	if err != nil || len(list.GetLetters()) != 1 {
		t.Fatalf("letters of ada: %v, %v", list, err)
	}
	ada := list.GetLetters()[0]
	if ada.GetReason() != "no such user as ada" || ada.GetGroup() != "host" || ada.GetAttempts() != 1 || ada.GetJson() != "" {
		t.Errorf("letter: %v", ada)
	}

	for name, stranger := range map[string]context.Context{
		"a user":    rpc.ToService(sys.As(t.Context(), "eve"), "host"),
		"a service": rpc.ToService(t.Context(), "host"),
	} {
		if _, err := client.List(stranger, &eventsv1.ListRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s lists letters: got %v", name, err)
		}
		if _, err := client.Drop(stranger, &eventsv1.DropRequest{Filter: &eventsv1.Filter{}, By: by}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s drops letters: got %v", name, err)
		}
	}

	shown, err := client.Show(ctx, &eventsv1.ShowRequest{Letter: ada.GetLetter()})
	if err != nil {
		t.Fatal(err)
	}
	if text := shown.String(); strings.Contains(text, "hunter2") || strings.Contains(text, "t0ken") || strings.Contains(text, "c2VlZA") {
		t.Errorf("a secret is shown: %s", text)
	}
	if !strings.Contains(shown.GetJson(), `"[secret]"`) || !strings.Contains(shown.GetJson(), `"phone"`) {
		t.Errorf("shown: %s", shown.GetJson())
	}

	edited, err := client.Edit(ctx, &eventsv1.EditRequest{Letter: ada.GetLetter(), Json: strings.Replace(shown.GetJson(), "ada", "grace", 1), By: by})
	if err != nil {
		t.Fatal(err)
	}
	if a := edited.GetActions(); len(a) != 1 || a[0].GetAuthor() != "root" || a[0].GetReason() != "a test" {
		t.Errorf("actions: %v", a)
	}
	if _, err := client.Edit(ctx, &eventsv1.EditRequest{Letter: ada.GetLetter(), Json: `{"usr": 1}`, By: by}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("edit to something else: got %v", err)
	}

	dry, err := client.Replay(ctx, &eventsv1.ReplayRequest{Filter: &eventsv1.Filter{}, By: by, DryRun: true})
	if err != nil || dry.GetCount() != 2 {
		t.Errorf("dry run: %v, %v", dry, err)
	}
	if _, err := client.Replay(ctx, &eventsv1.ReplayRequest{Filter: &eventsv1.Filter{Letter: ada.GetLetter()}, By: by}); err != nil {
		t.Fatal(err)
	}
	got := <-handled
	if got.GetUser() != "grace" || got.GetPassword() != "hunter2" || string(got.GetSeed()) != "seed" || got.GetDevices()[0].GetToken() != "t0ken" {
		t.Errorf("replayed: %v", got)
	}
	if _, err := client.Replay(ctx, &eventsv1.ReplayRequest{Filter: &eventsv1.Filter{Letter: ada.GetLetter()}, By: by}); status.Code(err) != codes.NotFound {
		t.Errorf("replay again: got %v", err)
	}
	dropped, err := client.Drop(ctx, &eventsv1.DropRequest{Filter: &eventsv1.Filter{Reason: "bob"}, By: by})
	if err != nil || dropped.GetCount() != 1 {
		t.Errorf("drop: %v, %v", dropped, err)
	}
}
