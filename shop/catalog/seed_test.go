package main

import (
	"testing"
)

func TestX(t *testing.T) {
	f, _ := seedFiles.Open(seedFile)
	rows, err := readSeed(f)
	if err != nil {
		t.Fatal(err)
	}
	e, out := sortRows(rows)
	t.Log(out.rows, out.created, out.unchanged, out.refused, out.byReason())
	cats := map[string]int{}
	for _, p := range e {
		cats[p.category]++
	}
	t.Log(cats)
	for i, p := range e {
		if i%12 == 0 {
			t.Log(p.sku, p.name, "|", p.category, p.price)
		}
	}
	for _, p := range e {
		if p.category == otherGifts {
			t.Log("OTHER", p.name)
		}
	}
	for _, p := range out.refusals[:20] {
		t.Log(p)
	}
}
