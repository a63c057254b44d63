package main

import (
	"github.com/gowarren/warren/config"
)

var settingMaxRows = config.Int("catalog.import.max_rows", 100_000, 1, 1_000_000,
	"how many rows one import may have; the codes, names and prices of all of them are kept in memory until it ends")

func maxRows(s *config.Settings) *config.Value[int] {
	return config.Watch(s, settingMaxRows, config.Scope{})
}
