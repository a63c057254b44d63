package shards

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/gowarren/warren/store"
)

//go:embed capture
var captures embed.FS

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

func (t Table) check() error {
	if !identifier.MatchString(t.Name) || !identifier.MatchString(t.Shard) {
		return fmt.Errorf("table %q with shard column %q: names are of a-z, 0-9 and _, at most 40", t.Name, t.Shard)
	}
	if len(t.Key) == 0 {
		return fmt.Errorf("table %q has no key", t.Name)
	}
	for _, k := range t.Key {
		if !identifier.MatchString(k) {
			return fmt.Errorf("table %q with key column %q: names are of a-z, 0-9 and _, at most 40", t.Name, k)
		}
	}
	return nil
}

// captureSteps are the migrations of one table: the same but for its names.
type captureSteps struct {
	fs.FS
	names *strings.Replacer
}

// ReadFile implements fs.ReadFileFS.
func (c captureSteps) ReadFile(name string) ([]byte, error) {
	raw, err := fs.ReadFile(c.FS, name)
	return []byte(c.names.Replace(string(raw))), err
}

// migrate adds the triggers that note changes while a shard of the table moves.
func (t Table) migrate(ctx context.Context, db *store.DB) error {
	columns := func(row string) []string {
		var out []string
		for _, k := range t.Key {
			out = append(out, fmt.Sprintf(`%s."%s"`, row, k))
		}
		return out
	}
	var changed []string
	for _, k := range append(slices.Clone(t.Key), t.Shard) {
		changed = append(changed, fmt.Sprintf(`OLD."%s" <> NEW."%s"`, k, k))
	}
	folder, err := fs.Sub(captures, "capture")
	if err != nil {
		return err
	}
	steps := captureSteps{folder, strings.NewReplacer("{table}", t.Name, "{shard}", t.Shard,
		"{new}", strings.Join(columns("NEW"), ", "), "{old}", strings.Join(columns("OLD"), ", "),
		"{changed}", strings.Join(changed, " OR "))}
	return db.MigrateSet(ctx, migrationSet+"."+t.Name, steps)
}

// triggers counts the triggers of the table.
func (t Table) triggers(ctx context.Context, db *store.DB) (n int, err error) {
	query := `SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = ? AND trigger_name LIKE ? AND trigger_schema = current_schema()`
	switch db.Dialect() {
	case store.SQLite:
		query = `SELECT COUNT(*) FROM sqlite_master WHERE tbl_name = ? AND name LIKE ? AND type = 'trigger'`
	case store.MySQL:
		query = `SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_table = ? AND trigger_name LIKE ? AND trigger_schema = DATABASE()`
	}
	err = db.QueryRow(ctx, query, t.Name, "warren_shard_"+t.Name+"_%").Scan(&n)
	return n, err
}
