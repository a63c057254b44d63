package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc, the same on every Linux.
const tick = 10 * time.Millisecond

// usage is what a process has used since it started.
type usage struct {
	cpu            time.Duration
	mallocs, bytes float64
	resident       int // bytes, now
}

func (u usage) minus(before usage) usage {
	return usage{u.cpu - before.cpu, u.mallocs - before.mallocs, u.bytes - before.bytes, u.resident}
}

func (u usage) plus(v usage) usage {
	return usage{u.cpu + v.cpu, u.mallocs + v.mallocs, u.bytes + v.bytes, u.resident + v.resident}
}

// usage reads the kernel's and the Go runtime's books.
func (p *process) usage(ctx context.Context) (usage, error) {
	var u usage
	metrics, err := get(ctx, "http://"+p.probe+"/metrics", "")
	if err != nil {
		return u, fmt.Errorf("ask %s for its allocations: %w", p.name, err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(metrics)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "go_memstats_mallocs_total":
			u.mallocs, err = strconv.ParseFloat(value, 64)
		case "go_memstats_alloc_bytes_total":
			u.bytes, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return u, fmt.Errorf("read allocations of %s: %w", p.name, err)
		}
	}
	u.cpu, u.resident, err = p.consumed()
	return u, err
}

// consumed is the processor time that the process has used so far, and its
// resident memory, out of the kernel's books.
func (p *process) consumed() (cpu time.Duration, resident int, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read processor time of %s: %w; its last words:\n%s", p.name, err, p.stderr.text)
	}
	// The name in parentheses may hold spaces; the fields count from behind it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	pages, err3 := strconv.Atoi(fields[21])
	if err1 != nil || err2 != nil || err3 != nil {
		return 0, 0, fmt.Errorf("read processor time of %s: %q", p.name, stat)
	}
	return time.Duration(user+system) * tick, pages * os.Getpagesize(), nil
}

// machineBusy is how long all processors together have worked.
func machineBusy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read processor time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var sum time.Duration
	for i, field := range strings.Fields(line)[1:] {
		const idle, wait, guest = 3, 4, 8
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read processor time of the machine: %w", err)
		}
		if i != idle && i != wait && i < guest {
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// machine describes where the figures come from.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), model, runtime.Version())
}
