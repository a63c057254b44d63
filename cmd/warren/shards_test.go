package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gowarren/warren"
	"github.com/gowarren/warren/store/shards"
	"github.com/gowarren/warren/warrentest"
)

// TestShardsAreLookedAfter moves a shard of a service that runs, as an operator does.
func TestShardsAreLookedAfter(t *testing.T) {
	sys := warrentest.New(t)
	dir := t.TempDir()
	url := func(n int) string { return fmt.Sprintf("sqlite:%s/%d.db", dir, n) }
	tables := fstest.MapFS{"0001_notes.sql": {Data: []byte(`CREATE TABLE notes (id VARCHAR(26) PRIMARY KEY, shard BIGINT NOT NULL)`)}}
	sys.Run("notes", func(ctx context.Context, app *warren.App) error {
		_, err := app.Shards(ctx, shards.Options{Shards: 4, Migrations: tables, Tables: []shards.Table{{Name: "notes", Shard: "shard", Key: []string{"id"}}}})
		return err
	}, "--database", url(1)+" "+url(2))
	t.Setenv("WARREN_REGISTRY", sys.URL())
	t.Setenv("WARREN_KEY_FILE", sys.KeyFile())
	warren := func(wants string, args ...string) {
		t.Helper()
		r := execute(t.Context(), nil, append(append([]string{"shards"}, args...), "--file", t.TempDir()+"/warren.yaml")...)
		if !strings.Contains(r.out+r.err, wants) {
			t.Fatalf("warren shards %s: got %q, want %q", strings.Join(args, " "), r.out+r.err, wants)
		}
	}
	warren("/2.db", "status")
	warren("3      sqlite:", "list", "notes")
	warren(errNoReason.Error(), "move", "notes", "3", url(3))
	warren("there is no shard 4: they are 0 to 3", "move", "notes", "4", url(3), "--reason", "a test")
	warren(`no service "nobody" with shards runs; there are: notes`, "list", "nobody")
	warren("shard 3 was moved: 0 rows", "move", "notes", "3", url(3), "--reason", "database 2 is full")
	warren(`"phase": "done"`, "move", "notes", "3", url(3), "--reason", "once more", "--json")
	warren("/3.db", "list", "notes")
	warren("3.db by ", "show", "notes", "3")
	warren(": database 2 is full\n", "show", "notes", "3")
	warren("shard 3 is at sqlite:", "abort", "notes", "3", "--reason", "a test")
	warren("abort by ", "show", "notes", "3")
}
