package main

import (
	"io"
	"os"

	"github.com/gowarren/warren/internal/node"
)

// environmentOf is what a process of the system would see: the command is a
// guest in it.
func (o *options) environmentOf() (node.Environment, error) {
	args := []string{"--service", "warren", "--data", o.dataDir()}
	if o.environment != "" {
		args = append(args, "--environment", o.environment)
	}
	if _, err := os.Stat(o.file); err == nil {
		args = append(args, "--system-file", o.file)
	}
	return node.ReadEnvironment(args, os.Getenv, io.Discard)
}
