package main

import (
	"context"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The first catalogue; seed/README.md tells where it is from and its licence.
//
//go:embed seed/online_retail.csv
var seedFiles embed.FS

const (
	seedName = "online_retail"
	seedFile = "seed/online_retail.csv"
)

// readSeed reads rows with the columns StockCode, Description and UnitPrice, in
// pounds. Names in capitals are written as people write them; nothing else is
// touched before the import's rules judge a row.
func readSeed(from io.Reader) ([]row, error) {
	lines := csv.NewReader(from)
	lines.FieldsPerRecord = 3
	if _, err := lines.Read(); err != nil {
		return nil, fmt.Errorf("read the seed's heading: %w", err)
	}
	var rows []row
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the seed: %w", err)
		}
		line, _ := lines.FieldPos(0)
		rows = append(rows, row{line: int64(line), sku: fields[0], name: quieten(fields[1]), price: fields[2], currency: "GBP"})
	}
}

// seed fills the catalogue if it is empty and never was filled. Of several
// instances that start together one does it, and the others wait for it.
func seed(ctx context.Context, products *products, now time.Time, log *slog.Logger) error {
	file, err := seedFiles.Open(seedFile)
	if err != nil {
		return fmt.Errorf("open the seed: %w", err)
	}
	defer file.Close()
	rows, err := readSeed(file)
	if err != nil {
		return err
	}
	entries, out := sortRows(rows)
	seeded, err := products.seed(ctx, seedName, entries, &out, now)
	if err != nil || !seeded {
		return err
	}
	log.InfoContext(ctx, "catalogue seeded; the table seed_refusals has each row that was refused", "seed", seedName,
		"rows", out.rows, "created", out.created, "unchanged", out.unchanged, "refused", out.refused, "reasons", out.byReason())
	for _, r := range out.refusals {
		log.DebugContext(ctx, "seed row refused", "line", r.line, "sku", r.sku, "reason", r.reason.String(), "message", r.message)
	}
	return nil
}

// sortRows returns the products of the rows, and a report of the rest.
func sortRows(rows []row) ([]product, report) {
	in := newIntake()
	var entries []product
	out := report{rows: int64(len(rows))}
	for _, r := range rows {
		p, refused := in.take(r)
		switch {
		case refused != nil:
			out.refuse(r, refused, len(rows))
		case p == nil:
			out.unchanged++
		default:
			entries = append(entries, p.completed(nil))
		}
	}
	out.created = int64(len(entries))
	return entries, out
}

// quieten writes a name in capitals as people write it: "SET OF 3 T-LIGHTS"
// becomes "Set of 3 T-Lights". A name that has more small letters than capitals
// stays as it is.
func quieten(name string) string {
	var capitals, small int
	for _, r := range name {
		if unicode.IsUpper(r) {
			capitals++
		} else if unicode.IsLower(r) {
			small++
		}
	}
	if capitals <= small {
		return name
	}
	words := strings.Fields(name)
	for i, word := range words {
		words[i] = quietenWord(word, i == 0)
	}
	return strings.Join(words, " ")
}

func quietenWord(word string, first bool) string {
	lower := strings.ToLower(word)
	switch {
	case lower == "tv" || lower == "uk" || strings.Count(word, ".") > 1: // M.O.P
		return word
	case !first && strings.Contains(" a and at for from in of on or the to with ", " "+lower+" "):
		return lower
	case strings.ContainsAny(word, "0123456789") && !strings.ContainsAny(word, "/+-"):
		return quietenMeasure(word, lower)
	}
	var b strings.Builder
	start := true
	for _, r := range lower {
		if start {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		start = strings.ContainsRune(`/+-,&("`, r)
	}
	return b.String()
}

// quietenMeasure keeps "3D" and "A7" and makes "60CM" "60cm".
func quietenMeasure(word, lower string) string {
	unit := strings.TrimLeft(lower, "0123456789.x")
	if utf8.RuneCountInString(unit) > 1 && len(unit) < len(lower) {
		return lower
	}
	return word
}
