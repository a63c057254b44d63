package node

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gowarren/warren/config"
)

// settingGC trades memory for time. A service's live heap is a few MiB, so the
// runtime's own 100 % collects all the time: at 400 % a request costs about a
// sixth less CPU, for some 20 MiB more per process.
var settingGC = config.Int("process.gc.percent", 400, 10, 10_000,
	"How far the heap may grow, in percent of what lives, before it is collected. The variable GOGC goes before it.")

// memoryShare of what the process's container allows is its soft limit: near
// it the collector works harder instead of the kernel killing the process.
const memoryShare = 0.8

// tuneMemory obeys the setting from now on, unless the environment decided.
func (n *Node) tuneMemory(getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		if limit := containerMemory("/sys/fs/cgroup/memory.max"); limit > 0 {
			debug.SetMemoryLimit(int64(memoryShare * float64(limit)))
		}
	}
	if getenv("GOGC") != "" {
		return
	}
	percent := config.Watch(n.Settings, settingGC, config.Scope{Service: n.Env.Service})
	apply := func(p int) { debug.SetGCPercent(p) }
	percent.OnChange(apply)
	apply(percent.Get())
}

// containerMemory reads the limit of the control group, 0 where there is none.
func containerMemory(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || limit <= 0 || limit == math.MaxInt64 {
		return 0 // "max"
	}
	return limit
}
