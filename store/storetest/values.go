package storetest

import (
	"bytes"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gowarren/warren/store"
)

// valuesSchema has the types of the portable subset.
const valuesSchema = `
-- every type; even a comment may have a ; and a ?
CREATE TABLE samples (
	id BIGINT PRIMARY KEY,
	whole BIGINT,
	ratio DOUBLE PRECISION,
	flag BOOLEAN,
	short VARCHAR(200),
	body TEXT,
	bytes BLOB,
	at BIGINT
);
`

var values = map[string]func(*bench){
	"RoundTrip": func(b *bench) {
		b.schema(valuesSchema)
		at := time.Date(2026, 2, 28, 23, 59, 59, 123456000, time.UTC)
		for id, v := range []sample{
			{0, 0, false, "", "", []byte{}, at},
			{math.MaxInt64, math.MaxFloat64, true, "plain", "line\nline", []byte{0, 1, 255}, at},
			{math.MinInt64, -math.SmallestNonzeroFloat64, true, "Zürich 東京 🛒 \U0001F9D1\u200d\U0001F680", "O'Brien \\ \"x\" ; -- ? %", []byte("??"), time.UnixMicro(-1).UTC()},
			{-1, 0.1, false, strings.Repeat("😀", 200), strings.Repeat("ж", 1<<20), bytes.Repeat([]byte{0, 0xff}, 1<<19), time.UnixMicro(0).UTC()},
			{1, 1e-7, true, " both ends ", "\t", []byte("\x00"), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		} {
			b.exec(b.db, `INSERT INTO samples (id, whole, ratio, flag, short, body, bytes, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				id, v.Whole, v.Ratio, v.Flag, v.Short, v.Long, v.Bytes, v.At)
			var got sample
			b.must(b.db.QueryRow(b.ctx, `SELECT whole, ratio, flag, short, body, bytes, at FROM samples WHERE id = ?`, id).
				Scan(&got.Whole, &got.Ratio, &got.Flag, &got.Short, &got.Long, &got.Bytes, &got.At))
			if diff := cmp.Diff(v, got); diff != "" {
				b.Errorf("row %d came back changed:\n%.500s", id, diff)
			}
		}
	},
	"Nulls": func(b *bench) {
		b.schema(valuesSchema)
		b.exec(b.db, `INSERT INTO samples (id, whole, ratio, flag, short, body, bytes, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			1, nil, (*float64)(nil), sql.NullBool{}, sql.Null[string]{}, nil, []byte(nil), (*time.Time)(nil))
		var whole *int64
		var ratio sql.NullFloat64
		var flag *bool
		var short sql.Null[string]
		var long *string
		var raw []byte
		var at *time.Time
		b.must(b.db.QueryRow(b.ctx, `SELECT whole, ratio, flag, short, body, bytes, at FROM samples`).
			Scan(&whole, &ratio, &flag, &short, &long, &raw, &at))
		if whole != nil || ratio.Valid || flag != nil || short.Valid || long != nil || raw != nil || at != nil {
			b.Error("a NULL came back as something")
		}
		var n sql.Null[time.Time]
		b.must(b.db.QueryRow(b.ctx, `SELECT at FROM samples WHERE whole IS NULL`).Scan(&n))
		if n.Valid {
			b.Error("a NULL time is valid")
		}
		var now time.Time
		if err := b.db.QueryRow(b.ctx, `SELECT at FROM samples`).Scan(&now); err == nil || !strings.Contains(err.Error(), "NULL") {
			b.Errorf("scanning NULL into a time: %v", err)
		}
	},
	"TimeIsMicroseconds": func(b *bench) {
		b.schema(valuesSchema)
		at := time.Date(2026, 7, 1, 12, 0, 0, 1999, time.FixedZone("far", 5*3600))
		b.exec(b.db, `INSERT INTO samples (id, at) VALUES (?, ?)`, 1, at)
		var micros int64
		b.must(b.db.QueryRow(b.ctx, `SELECT at FROM samples WHERE at = ?`, at).Scan(&micros))
		if micros != at.UnixMicro() {
			b.Errorf("stored %d; want %d", micros, at.UnixMicro())
		}
		var got time.Time
		b.must(b.db.QueryRow(b.ctx, `SELECT MAX(at) FROM samples`).Scan(&got))
		if !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
			b.Errorf("read %v; want %v in UTC", got, at)
		}
	},
	"NamedTypes": func(b *bench) {
		type sku string
		type cents int64
		b.schema(valuesSchema)
		b.exec(b.db, `INSERT INTO samples (id, short, whole) VALUES (?, ?, ?)`, int32(7), sku("85123A"), cents(255))
		var gotSKU sku
		var gotCents cents
		b.must(b.db.QueryRow(b.ctx, `SELECT short, whole FROM samples WHERE id = ?`, uint8(7)).Scan(&gotSKU, &gotCents))
		if gotSKU != "85123A" || gotCents != 255 {
			b.Errorf("got %v, %v", gotSKU, gotCents)
		}
		if _, err := b.db.Exec(b.ctx, `INSERT INTO samples (id) VALUES (?)`, uint64(math.MaxUint64)); err == nil {
			b.Error("a number beyond int64 was taken")
		}
	},
	"NoRows": func(b *bench) {
		b.schema(valuesSchema)
		var id int
		if err := b.db.QueryRow(b.ctx, `SELECT id FROM samples`).Scan(&id); !errors.Is(err, store.ErrNoRows) {
			b.Errorf("got %v; want ErrNoRows", err)
		}
		if n := b.exec(b.db, `DELETE FROM samples WHERE id = ?`, 1); n != 0 {
			b.Errorf("deleted %d rows of none", n)
		}
	},
	"WrongNumberOfArguments": func(b *bench) {
		b.schema(valuesSchema)
		for _, args := range [][]any{{1}, {1, 2, 3}} {
			if _, err := b.db.Exec(b.ctx, `INSERT INTO samples (id, whole) VALUES (?, ?)`, args...); err == nil {
				b.Errorf("%d arguments for 2 placeholders were taken", len(args))
			}
		}
		b.exec(b.db, `INSERT INTO samples (id, whole) VALUES (?, ?)`, 1, 2)
	},
}

type sample struct {
	Whole int64
	Ratio float64
	Flag  bool
	Short string
	Long  string
	Bytes []byte
	At    time.Time
}
