package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// searchText is bounded by what the folding of a text can grow to.
const (
	maxSearchName = 1000
	maxSearchText = 12_000
)

func (p product) searchName() string { return shorten(fold(p.name), maxSearchName) }

func (p product) searchText() string {
	return shorten(fold(p.sku+" "+p.name+" "+p.category+" "+p.description), maxSearchText)
}

// found is a product with how well it answers a search.
type found struct {
	product
	score int64
}

// position is where a page of a search ends.
type position struct {
	Score int64  `json:"s"`
	SKU   string `json:"k"`
}

// words returns the words of a search, each once.
func words(query string) []string {
	all := strings.Fields(fold(query))
	slices.Sort(all)
	return slices.Compact(all)
}

// search returns products that have all words in their name, description,
// category or code. A word that is one of the name's counts most, then one
// with which a word of the name begins; a code that is the whole query counts
// before everything. After is nil for the first page.
func (s *products) search(ctx context.Context, text string, after *position, limit int) ([]found, error) {
	terms := words(text)
	if len(terms) == 0 {
		return nil, nil
	}
	sku, err := tidySKU(text)
	if err != nil {
		sku = "" // no product's: the query as it came may hold what a database refuses
	}
	query, args := searchSQL(terms, sku, after)
	rows, err := s.db.Query(ctx, query, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("search products: %w", err)
	}
	defer rows.Close()
	var out []found
	for rows.Next() {
		var f found
		f.product, err = scanProduct(func(dest ...any) error { return rows.Scan(append(dest, &f.score)...) })
		if err != nil {
			return nil, fmt.Errorf("search products: %w", err)
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// searchSQL writes the statement; its text depends on nothing but the number of
// words. Words hold letters and digits only, so no pattern needs escaping.
func searchSQL(terms []string, sku string, after *position) (string, []any) {
	score, where := []string{`CASE WHEN sku = ? THEN 1000 ELSE 0 END`}, []string{}
	args, patterns := []any{sku}, []any{}
	for _, term := range terms {
		score = append(score, `CASE WHEN search_name LIKE ? THEN 4 WHEN search_name LIKE ? THEN 2 ELSE 1 END`)
		args = append(args, "% "+term+" %", "% "+term+"%")
		where = append(where, `search_text LIKE ?`)
		patterns = append(patterns, "%"+term+"%")
	}
	query := `SELECT ` + columns + `, score FROM (SELECT ` + columns + `, ` + strings.Join(score, ` + `) +
		` AS score FROM products WHERE ` + strings.Join(where, ` AND `) + `) matches`
	args = append(args, patterns...)
	if after != nil {
		query += ` WHERE score < ? OR (score = ? AND sku > ?)`
		args = append(args, after.Score, after.Score, after.SKU)
	}
	return query + ` ORDER BY score DESC, sku LIMIT ?`, args
}
