package telemetry

import (
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newMetrics returns a registry that already tells about the runtime, the
// process and the build.
func newMetrics(opts Options) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "warren_build_info",
		Help: "Which service and version this process runs; always 1.",
		ConstLabels: prometheus.Labels{
			"service": opts.Service, "version": opts.Version, "go_version": runtime.Version(),
		},
	})
	build.Set(1)
	target := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "target_info",
		Help: "The resource that these metrics are of, by OpenTelemetry's names; always 1.",
		ConstLabels: prometheus.Labels{
			"service_name": opts.Service, "service_instance_id": opts.Instance, "service_version": opts.Version,
			"deployment_environment_name": opts.Environment,
		},
	})
	target.Set(1)
	metrics := prometheus.NewRegistry()
	return metrics, register(metrics,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, target,
	)
}

func register(metrics prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}
