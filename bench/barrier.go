package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// barrier has the benchmark of the package take what the barrier adds to a call,
// on this measurement's own PostgreSQL.
func (s *stage) barrier(ctx context.Context, p plan) (string, error) {
	url, err := s.postgres.create(ctx, "barrier")
	if err != nil {
		return "", err
	}
	took, rounds := 300*time.Millisecond, 3
	if p.quick {
		took, rounds = 100*time.Millisecond, 1
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkCall$/^(sqlite|postgres)$",
		"-benchtime", took.String(), "-count", strconv.Itoa(rounds), "./txn/barrier")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0", "WARREN_TEST_POSTGRES="+url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run the benchmark of the barrier: %w\n%s", err, out)
	}
	return barrierTable(out)
}

// barrierTable reads lines such as BenchmarkCall/sqlite/with/16-2 5000 240000 ns/op,
// and takes the median of those that are alike.
func barrierTable(out []byte) (string, error) {
	took := map[string][]float64{} // microseconds
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != "ns/op" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "BenchmarkCall/"), "-")
		ns, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return "", fmt.Errorf("read the benchmark of the barrier: %q", lines.Text())
		}
		took[name] = append(took[name], ns/1000)
	}
	var b strings.Builder
	b.WriteString("| | µs per call without | with the barrier | added | the same call again |\n|---|---|---|---|---|")
	for _, store := range []struct{ key, name string }{{"sqlite", "SQLite"}, {"postgres", "PostgreSQL"}} {
		for _, callers := range []string{"1", "16"} {
			key := func(how string) float64 { return median(took[store.key+"/"+how+"/"+callers]) }
			without, with, again := key("without"), key("with"), key("again")
			if without == 0 || with == 0 || again == 0 {
				return "", fmt.Errorf("the benchmark of the barrier said nothing of %s with %s callers:\n%s", store.name, callers, out)
			}
			fmt.Fprintf(&b, "\n| %s, callers at once: %s | %.0f | %.0f | %+.0f %% | %.0f |", store.name, callers, without, with, 100*(with/without-1), again)
		}
	}
	b.WriteString("\n")
	return b.String(), nil
}
