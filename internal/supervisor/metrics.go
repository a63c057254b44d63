package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/fleet"
	"github.com/gowarren/warren/internal/metricstore"
	"github.com/gowarren/warren/internal/system"
)

// startMetrics opens the store of metrics, feeds it with the instances that the
// registry knows, and watches it for alerts.
func (s *Supervisor) startMetrics() error {
	s.own = prometheus.NewRegistry()
	own := s.own
	if err := own.Register(&ownMetrics{s}); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if s.signalMetrics != nil {
		if err := own.Register(s.signalMetrics); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	if s.system.Engines.Metrics != system.Embedded {
		return nil
	}
	began := time.Now()
	limits := metricstore.WatchLimits(s.settings)
	alerts, err := s.newAlerts(own, limits)
	if err != nil {
		return err
	}
	store, err := metricstore.Open(metricstore.Options{
		Dir: s.data.path("metrics"), Labels: map[string]string{"environment": s.system.Environment},
		Limits: limits(), Notify: alerts.Notify, Metrics: own, Logger: s.log,
	})
	if err != nil {
		return err
	}
	if err := alerts.Start(store); err != nil {
		return errors.Join(err, store.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.feed(ctx, store, limits, promhttp.HandlerFor(gatherers(own), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	}()
	observev1.RegisterMetricServiceServer(s.control, store.Service())
	observev1.RegisterAlertServiceServer(s.control, alerts.Service())
	s.metrics = store
	s.metricsEnd = func() error {
		cancel()
		<-done
		return errors.Join(alerts.Close(), store.Close())
	}
	s.told("metrics", began)
	return nil
}

// closeMetrics comes after the services have drained: that is seen, too.
func (s *Supervisor) closeMetrics() error {
	if s.metricsEnd == nil {
		return nil
	}
	return s.metricsEnd()
}

func (s *Supervisor) newAlerts(metrics prometheus.Registerer, limits func() metricstore.Limits) (*alerting.Engine, error) {
	period := alerting.WatchPeriod(s.settings)
	return alerting.New(alerting.Options{
		Dir: s.data.path("alerts"), System: s.system.Dir, Name: s.system.Name, Logger: s.log, Metrics: metrics,
		Timing: func() alerting.Timing {
			l := limits()
			return alerting.Timing{Period: period(), Scrape: l.ScrapeInterval, Evaluate: l.EvaluationInterval}
		},
	})
}

// feed keeps the store's targets those that the registry knows, and its limits
// those that are in force.
func (s *Supervisor) feed(ctx context.Context, store *metricstore.Store, limits func() metricstore.Limits, own http.Handler) {
	const look = time.Second
	changes, stop := s.registry.Watch()
	defer stop()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var before []metricstore.Target
	var interval time.Duration // a target is asked as often as was right when it was made known
	for {
		now := limits()
		if err := store.SetLimits(now); err != nil {
			s.log.Error("limits of metrics not changed", "error", err)
		}
		targets := s.targets(own)
		if before == nil || now.ScrapeInterval != interval || !slices.EqualFunc(before, targets, sameTarget) {
			if store.SetTargets(ctx, targets) != nil {
				return // only when it ends
			}
			before, interval = targets, now.ScrapeInterval
		}
		select {
		case <-changes:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func sameTarget(a, b metricstore.Target) bool {
	return a.Service == b.Service && a.Instance == b.Instance && a.Version == b.Version && a.URL == b.URL
}

// targets are the instances that show metrics, and the supervisor.
func (s *Supervisor) targets(own http.Handler) []metricstore.Target {
	out := []metricstore.Target{{Service: ownLog, Instance: ownLog, Version: s.opts.Version, Handler: own}}
	for _, i := range s.registry.Snapshot().Instances {
		if i.Admin == "" || strings.HasSuffix(i.ID, ".http") { // that one is the same process
			continue
		}
		out = append(out, metricstore.Target{Service: i.Service, Instance: i.ID, Version: i.Version, URL: "http://" + i.Admin + "/metrics"})
	}
	return out
}

// gatherers join the supervisor's own metrics with those of the engines inside,
// which register where everything does that does not ask. Of these the few are
// kept that tell how well they are.
func gatherers(own prometheus.Gatherer) prometheus.Gatherer { //nolint:ireturn // what is joined is known by no other type
	engines := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := prometheus.DefaultGatherer.Gather()
		return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool {
			return !slices.ContainsFunc([]string{"go_", "process_", "etcd_server_", "etcd_disk_", "etcd_mvcc_db_"}, func(prefix string) bool {
				return strings.HasPrefix(f.GetName(), prefix)
			})
		}), err
	})
	return prometheus.Gatherers{own, engines}
}

// ownMetrics are what the supervisor knows of the processes and the disk.
type ownMetrics struct{ s *Supervisor }

// Describe sends nothing: what there is depends on the system.
func (*ownMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (m *ownMetrics) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType, name, help string, value float64, labels prometheus.Labels) {
		desc := prometheus.NewDesc(name, help, nil, labels)
		if metric, err := prometheus.NewConstMetric(desc, kind, value); err == nil {
			out <- metric
		}
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(m.s.data.dir, &disk) == nil {
		block := float64(disk.Bsize)
		send(prometheus.GaugeValue, "warren_data_free_bytes", "What is free on the disk of the system's data.", float64(disk.Bavail)*block, nil)
		send(prometheus.GaugeValue, "warren_data_size_bytes", "Size of the disk of the system's data.", float64(disk.Blocks)*block, nil)
	}
	states := []fleet.State{fleet.Starting, fleet.Ready, fleet.Draining, fleet.Waiting, fleet.CrashLoop, fleet.Stopped}
	status := m.s.fleet.Status()
	for _, service := range m.s.fleet.Names() {
		counts, wanted, restarts := map[fleet.State]int{}, 0, 0
		for _, st := range status {
			if st.Service != service {
				continue
			}
			counts[st.State]++
			restarts += st.Restarts
			if st.State != fleet.Draining && st.State != fleet.Stopped {
				wanted++
			}
		}
		of := prometheus.Labels{"service": service}
		send(prometheus.GaugeValue, "warren_fleet_wanted_instances", "Instances that a service is to have.", float64(wanted), of)
		send(prometheus.CounterValue, "warren_fleet_restarts_total",
			"Times that processes of a service were started again after they ended by themselves.", float64(restarts), of)
		for _, state := range states {
			send(prometheus.GaugeValue, "warren_fleet_instances", "Instances of a service, by state.", float64(counts[state]),
				prometheus.Labels{"service": service, "state": stateName(state)})
		}
	}
}

// stateName is a state as labels have it: "crash_loop".
func stateName(state fleet.State) string {
	return strings.ToLower(strings.TrimPrefix(states()[state].String(), "STATE_"))
}
