// Command load runs the load generator in a process of its own, so that its
// work is not counted as anybody's: it reads an order from standard input and
// writes the result to standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/gowarren/warren/bench/internal/load"
)

func main() {
	debug.SetGCPercent(1000) // collecting latencies must not add to them
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var order load.Order
	if err := json.NewDecoder(os.Stdin).Decode(&order); err != nil {
		return fmt.Errorf("read order: %w", err)
	}
	result, err := load.Run(context.Background(), order)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
