package console

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/gowarren/warren/internal/console/frame"
)

// instanceCharts are how one instance answers, and what its process needs.
func (s *screens) instanceCharts(r *frame.Request, id, service string) ([]frame.Chart, error) {
	where := "instance=" + strconv.Quote(id)
	one := func(name string) func(map[string]string) string {
		return func(map[string]string) string { return name }
	}
	byCode := func(l map[string]string) string {
		return cmp.Or(l["rpc_response_status_code"], l["http_response_status_code"])
	}
	kinds := map[string]string{
		"process_resident_memory_bytes": "of the process", "go_memstats_heap_inuse_bytes": "of the heap", "go_memstats_stack_inuse_bytes": "of the stacks",
	}
	memory := fmt.Sprintf(`{__name__=~"process_resident_memory_bytes|go_memstats_heap_inuse_bytes|go_memstats_stack_inuse_bytes",%s}`, where)
	rate := func(metric string) string { return fmt.Sprintf(`rate(%s{%s}[%s])`, metric, where, window) }
	return s.charts(r, s.marks(r, service),
		plan{"rate", "Requests", "/s", rateOf("rpc_response_status_code, http_response_status_code", where), byCode},
		plan{"errors", "Errors", "%", errorsOf("instance", where), one("errors")},
		plan{"p95", "Duration, p95", "s", quantileOf(0.95, "instance", where), one("p95")},
		plan{"cpu", "Processors in use", "", rate("process_cpu_seconds_total"), one("processors")},
		plan{"memory", "Memory", "B", memory, func(l map[string]string) string { return kinds[l["__name__"]] }},
		plan{"goroutines", "Goroutines", "", `go_goroutines{` + where + `}`, one("goroutines")},
		plan{"gc", "Time in the garbage collector's pauses", "%", rate("go_gc_duration_seconds_sum"), one("pauses")},
		plan{"files", "Open files", "", `process_open_fds{` + where + `}`, one("files")},
	)
}
