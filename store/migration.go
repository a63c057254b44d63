package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// migration is one step of the schema, as this program has it.
type migration struct {
	version  int64
	name     string // 0001_products
	checksum string
	body     string // for the dialect; empty when only others have this step
}

var migrationName = regexp.MustCompile(`^(([0-9]{4,18})_[a-z0-9_]+)(?:\.(sqlite|postgres|mysql))?\.sql$`)

// readMigrations lists the steps for a dialect, in order. They are in the folder
// migrations, or at the root of fsys.
func readMigrations(fsys fs.FS, d Dialect) ([]migration, error) {
	dir := "migrations"
	if info, err := fs.Stat(fsys, dir); err != nil || !info.IsDir() {
		dir = "."
	}
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	byVersion := map[int64]migration{}
	for _, entry := range entries {
		if entry.IsDir() || path.Ext(entry.Name()) != ".sql" {
			continue
		}
		m, special, err := readMigration(fsys, path.Join(dir, entry.Name()), d)
		if err != nil {
			return nil, err
		}
		before, there := byVersion[m.version]
		if there && before.name != m.name {
			return nil, fmt.Errorf("%w: %s and %s have the same number", ErrMigration, before.name, m.name)
		}
		// The dialect's own file goes before the one for all.
		if !there || special {
			byVersion[m.version] = m
		}
	}
	var out []migration
	for _, m := range byVersion {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b migration) int { return cmp.Compare(a.version, b.version) })
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no file such as migrations/0001_products.sql", ErrMigration)
	}
	return out, nil
}

// readMigration reads one file; special says that it is this dialect's own.
func readMigration(fsys fs.FS, file string, d Dialect) (m migration, special bool, err error) {
	parts := migrationName.FindStringSubmatch(path.Base(file))
	if parts == nil {
		return m, false, fmt.Errorf("%w: file %s is not named like 0001_products.sql or 0001_products.postgres.sql", ErrMigration, file)
	}
	m.name = parts[1]
	if m.version, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		return m, false, fmt.Errorf("%w: file %s: %w", ErrMigration, file, err)
	}
	if own := parts[3]; own != "" && own != string(d) {
		// A step of another dialect is no step here, but its number is taken.
		m.checksum = checksum("")
		return m, false, nil
	}
	raw, err := fs.ReadFile(fsys, file)
	if err != nil {
		return m, false, fmt.Errorf("read migration: %w", err)
	}
	text := strings.ReplaceAll(string(raw), "\r\n", "\n") // git may change them
	m.checksum = checksum(text)
	m.body = text
	if parts[3] == "" {
		m.body = portableTypes(text, d)
	}
	return m, parts[3] != "", nil
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// portableTypes writes the dialect's types for TEXT and BLOB, in capitals: text
// and bytes without a bound.
func portableTypes(text string, d Dialect) string {
	types := map[Dialect]map[string]string{
		PostgreSQL: {"BLOB": "BYTEA"},
		MySQL:      {"BLOB": "LONGBLOB", "TEXT": "LONGTEXT"},
	}[d]
	tokens := scan(text)
	for i, t := range tokens {
		if written, ok := types[t.text]; ok && t.kind == kindWord {
			tokens[i].text = written
		}
	}
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text)
	}
	return b.String()
}

// applied is one step that the database has.
type applied struct {
	version  int64
	name     string
	checksum string
	// done counts the statements that ran, until all have. Only MySQL stops
	// between them, as it can't roll a change of the schema back.
	done     int64
	finished bool
}

// pending compares what the program has with what the database has, and returns
// the first step to do, or nil. ahead are steps that only the database has.
func pending(have []migration, done []applied) (next *migration, at applied, ahead []string, err error) {
	inDatabase := map[int64]applied{}
	newest := int64(0)
	for _, a := range done {
		inDatabase[a.version] = a
		newest = max(newest, a.version)
	}
	for i, m := range have {
		a, there := inDatabase[m.version]
		delete(inDatabase, m.version)
		switch {
		case !there && m.version < newest:
			return nil, a, nil, fmt.Errorf("%w: %s comes before steps that the database already has; give it the next number", ErrMigration, m.name)
		case there && a.finished && (a.checksum != m.checksum || a.name != m.name):
			return nil, a, nil, fmt.Errorf("%w: %s was edited after it was applied as %s; restore it and write a new step", ErrMigration, m.name, a.name)
		case next == nil && (!there || !a.finished):
			next, at = &have[i], a
		}
	}
	for _, a := range done {
		if _, unknown := inDatabase[a.version]; !unknown {
			continue
		}
		if a.version < have[len(have)-1].version {
			return nil, at, nil, fmt.Errorf("%w: the database has %s, which this program doesn't know although it knows later ones", ErrMigration, a.name)
		}
		if !a.finished {
			a.name += " (unfinished)"
		}
		ahead = append(ahead, a.name)
	}
	if next != nil && len(ahead) > 0 {
		return nil, at, nil, fmt.Errorf("%w: %s is not applied, but the database has later steps: %s", ErrMigration, next.name, strings.Join(ahead, ", "))
	}
	return next, at, ahead, nil
}

// split cuts a script at its semicolons.
func split(script string) []string {
	var out []string
	var b strings.Builder
	words := 0
	flush := func() {
		if words > 0 {
			out = append(out, strings.TrimSpace(b.String()))
		}
		b.Reset()
		words = 0
	}
	for _, t := range scan(script) {
		if t.kind == kindSymbol && t.text == ";" {
			flush()
			continue
		}
		if t.kind != kindSpace {
			words++
		}
		b.WriteString(t.text)
	}
	flush()
	return out
}

var errHalfDone = errors.New("the statements before it stay in effect, as MySQL can't roll back a change of the schema: " +
	"mend the database or the statement and start again, the step goes on from there")
