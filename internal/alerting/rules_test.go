package alerting_test

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gowarren/warren/internal/alerting"
	"github.com/gowarren/warren/internal/metricstore"
)

// course is the value of a series so many minutes ago.
type course func(ago float64) float64

func level(v float64) course { return func(float64) float64 { return v } }

// counter grows by so much a minute.
func counter(perMinute float64) course {
	return func(ago float64) float64 { return (written - ago) * perMinute }
}

// stepped grows by so much since some minutes ago, and not before.
func stepped(since, by float64) course {
	return func(ago float64) float64 {
		if ago > since {
			return 0
		}
		return by
	}
}

// halfAnHour grew by so much a minute, and has not since half an hour.
func halfAnHour(perMinute float64) course {
	return func(ago float64) float64 { return (written - max(ago, 30)) * perMinute }
}

// ended is a series whose last sample is so many minutes old.
func ended(since, v float64) course {
	return func(ago float64) float64 {
		if ago < since {
			return math.NaN() // which is not written
		}
		return v
	}
}

// written is for how many minutes series are written.
const written = 100

type series map[string]course

// the two sides of each shipped alert: series for which it is true, and the
// nearest for which it is not.
func sides() map[string][2]series {
	const (
		bad, good   = `rpc_server_call_duration_seconds_count{service="a",rpc_response_status_code="INTERNAL"}`, `rpc_server_call_duration_seconds_count{service="a",rpc_response_status_code="OK"}`
		notFound    = `rpc_server_call_duration_seconds_count{service="a",rpc_response_status_code="NOT_FOUND"}`
		bad5, good2 = `http_server_request_duration_seconds_count{service="gateway",http_response_status_code="503"}`, `http_server_request_duration_seconds_count{service="gateway",http_response_status_code="200"}`
		siteBad     = `http_server_request_duration_seconds_count{service="site",http_response_status_code="503"}`
		siteGood    = `http_server_request_duration_seconds_count{service="site",http_response_status_code="200"}`
		of          = `{messaging_destination_name="t",messaging_consumer_group_name="g",service="a"}`
	)
	return map[string][2]series{
		"InstanceDown":     {{`up{instance="a/1"}`: level(0)}, {`up{instance="a/1"}`: level(1)}},
		"ServiceDown":      {{`warren_fleet_wanted_instances{service="a"}`: level(1), `warren_fleet_instances{service="a",state="ready"}`: level(0)}, {`warren_fleet_wanted_instances{service="a"}`: level(2), `warren_fleet_instances{service="a",state="ready"}`: level(1)}},
		"InstancesMissing": {{`warren_fleet_wanted_instances{service="a"}`: level(2), `warren_fleet_instances{service="a",state="ready"}`: level(1)}, {`warren_fleet_wanted_instances{service="a"}`: level(2), `warren_fleet_instances{service="a",state="ready"}`: level(2)}},
		"InstanceFlapping": {{`warren_fleet_restarts_total{service="a"}`: counter(0.5)}, {`warren_fleet_restarts_total{service="a"}`: counter(0.05)}},
		"CrashLoop":        {{`warren_fleet_instances{service="a",state="crash_loop"}`: level(1)}, {`warren_fleet_instances{service="a",state="crash_loop"}`: level(0)}},
		"HighErrorRatio":   {{bad: counter(10), good: counter(90)}, {bad: counter(1), good: counter(90), notFound: counter(90)}},
		"HighLatency": {
			{good: counter(60), `rpc_server_call_duration_seconds_bucket{service="a",le="1"}`: counter(10), `rpc_server_call_duration_seconds_bucket{service="a",le="5"}`: counter(60), `rpc_server_call_duration_seconds_bucket{service="a",le="+Inf"}`: counter(60)},
			{good: counter(60), `rpc_server_call_duration_seconds_bucket{service="a",le="1"}`: counter(60), `rpc_server_call_duration_seconds_bucket{service="a",le="5"}`: counter(60), `rpc_server_call_duration_seconds_bucket{service="a",le="+Inf"}`: counter(60)},
		},
		"GatewayErrors":         {{bad5: counter(10), good2: counter(90), siteGood: counter(900)}, {bad5: counter(1), good2: counter(90), siteBad: counter(90)}},
		"TrafficDrop":           {{good2: halfAnHour(600), siteGood: counter(900)}, {good2: counter(600), siteGood: halfAnHour(6000)}},
		"RetryStorm":            {{`warren_rpc_retries_total{service="a",kind="retry"}`: counter(80), `rpc_client_call_duration_seconds_count{service="a"}`: counter(100)}, {`warren_rpc_retries_total{service="a",kind="over_budget"}`: counter(80), `rpc_client_call_duration_seconds_count{service="a"}`: counter(100)}},
		"BreakerOpen":           {{`warren_rpc_breaker_state{service="a",rpc_method="/m",state="open"}`: level(1)}, {`warren_rpc_breaker_state{service="a",rpc_method="/m",state="half-open"}`: level(1)}},
		"CallsShed":             {{`warren_rpc_shed_total{service="a"}`: counter(60)}, {`warren_rpc_shed_total{service="a"}`: counter(1)}},
		"HandlerPanics":         {{`warren_rpc_panics_total{service="a",rpc_method="/m"}`: stepped(5, 1)}, {`warren_rpc_panics_total{service="a",rpc_method="/m"}`: stepped(50, 1)}},
		"RateLimited":           {{`warren_gateway_rate_limited_total`: counter(120)}, {`warren_gateway_rate_limited_total`: counter(6)}},
		"GoroutineLeak":         {{`go_goroutines{instance="a"}`: func(ago float64) float64 { return 1000 + max(0, 30-ago)*100 }}, {`go_goroutines{instance="a"}`: func(ago float64) float64 { return 9000 + (written-ago)*100 }}},
		"MemoryNearLimit":       {{`process_resident_memory_bytes{instance="a"}`: level(95), `go_gc_gomemlimit_bytes{instance="a"}`: level(100)}, {`process_resident_memory_bytes{instance="a"}`: level(1e20), `go_gc_gomemlimit_bytes{instance="a"}`: level(9223372036854775807)}},
		"FileDescriptorsShort":  {{`process_open_fds{instance="a"}`: level(900), `process_max_fds{instance="a"}`: level(1000)}, {`process_open_fds{instance="a"}`: level(100), `process_max_fds{instance="a"}`: level(1000)}},
		"DatabasePoolExhausted": {{`db_client_connection_wait_time_seconds_sum{service="a"}`: counter(30), `db_client_connection_wait_time_seconds_count{service="a"}`: counter(60)}, {`db_client_connection_wait_time_seconds_sum{service="a"}`: counter(1), `db_client_connection_wait_time_seconds_count{service="a"}`: counter(60)}},
		"DatabaseErrors":        {{`db_client_operation_duration_seconds_count{service="a",error_type="x"}`: counter(10), `db_client_operation_duration_seconds_count{service="a",error_type=""}`: counter(90)}, {`db_client_operation_duration_seconds_count{service="a",error_type="x"}`: counter(1), `db_client_operation_duration_seconds_count{service="a",error_type=""}`: counter(90)}},
		"DiskAlmostFull":        {{`warren_data_free_bytes`: ended(30, 4e9), `warren_data_size_bytes`: ended(30, 100e9)}, {`warren_data_free_bytes`: level(20e9), `warren_data_size_bytes`: level(100e9)}},
		"DiskWillFill":          {{`warren_data_free_bytes`: func(ago float64) float64 { return 20 + ago/4 }, `warren_data_size_bytes`: level(100)}, {`warren_data_free_bytes`: func(ago float64) float64 { return 20 + ago/60 }, `warren_data_size_bytes`: level(100)}},
		"OutboxStuck":           {{`warren_outbox_age_seconds{service="a"}`: level(90)}, {`warren_outbox_age_seconds{service="a"}`: level(5)}},
		"ConsumerLagGrows":      {{`warren_events_lag` + of: counter(60)}, {`warren_events_lag` + of: func(ago float64) float64 { return 500 + ago }}},
		"EventsRetried":         {{`warren_events_retries` + of: level(2)}, {`warren_events_retries` + of: level(0)}},
		"DeadLettersGrow":       {{`warren_dead_letters` + of: stepped(5, 2)}, {`warren_dead_letters` + of: level(2)}},
		"DeadLetters":           {{`warren_dead_letters` + of: level(2)}, {`warren_dead_letters` + of: level(0)}},
		"TransactionsParked":    {{`warren_txn_parked{service="coordinator"}`: level(1)}, {`warren_txn_parked{service="coordinator"}`: level(0)}},
		"TransactionStuck":      {{`warren_txn_oldest_seconds{service="coordinator"}`: level(400)}, {`warren_txn_oldest_seconds{service="coordinator"}`: level(20)}},
		"EtcdSlow":              {{`etcd_disk_wal_fsync_duration_seconds_bucket{le="0.5"}`: counter(10), `etcd_disk_wal_fsync_duration_seconds_bucket{le="1"}`: counter(60), `etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"}`: counter(60)}, {`etcd_disk_wal_fsync_duration_seconds_bucket{le="0.5"}`: counter(60), `etcd_disk_wal_fsync_duration_seconds_bucket{le="1"}`: counter(60), `etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"}`: counter(60)}},
		"EtcdAlmostFull":        {{`etcd_mvcc_db_total_size_in_bytes`: level(90), `etcd_server_quota_backend_bytes`: level(100)}, {`etcd_mvcc_db_total_size_in_bytes`: level(9), `etcd_server_quota_backend_bytes`: level(100)}},
		"CompensationRatio":     {{`warren_txn_duration_seconds_count{name="checkout",outcome="failed"}`: counter(5), `warren_txn_duration_seconds_count{name="checkout",outcome="succeeded"}`: counter(5)}, {`warren_txn_duration_seconds_count{name="checkout",outcome="failed"}`: counter(1), `warren_txn_duration_seconds_count{name="checkout",outcome="succeeded"}`: counter(9)}},
		"PreparedTooLong":       {{`warren_txn_prepared_oldest_seconds{service="a"}`: level(400)}, {`warren_txn_prepared_oldest_seconds{service="a"}`: level(3)}},
		"PreparedLost":          {{`warren_txn_prepared_lost_total{service="a"}`: stepped(5, 1)}, {`warren_txn_prepared_lost_total{service="a"}`: level(1)}},
		"TransactionOrphans":    {{`warren_txn_orphans`: level(1)}, {`warren_txn_orphans`: level(0)}},
		"CoordinatorStoreFails": {{`warren_txn_store_errors_total`: stepped(2, 1)}, {`warren_txn_store_errors_total`: level(1)}},
		"ConfigStale":           {{`warren_config_stale{instance="a"}`: level(1)}, {`warren_config_stale{instance="a"}`: level(0)}},
		"ConfigRefused":         {{`warren_config_refused_total{service="a",kind="value"}`: stepped(5, 1)}, {`warren_config_refused_total{service="a",kind="value"}`: level(1)}},
		"ConfigRevisionsDiffer": {{`warren_config_revision{instance="a"}`: level(3), `warren_config_revision{instance="b"}`: level(4)}, {`warren_config_revision{instance="a"}`: level(4), `warren_config_revision{instance="b"}`: level(4)}},
		"RegistryAway":          {{`warren_registry_stale{instance="a"}`: level(1)}, {`warren_registry_stale{instance="a"}`: level(0)}},
		"RegistryDoubted":       {{`warren_registry_panics_total{service="a"}`: stepped(2, 1)}, {`warren_registry_panics_total{service="a"}`: level(1)}},
		"LockLost":              {{`warren_lock_lost_total{service="a"}`: stepped(5, 1)}, {`warren_lock_lost_total{service="a"}`: level(1)}},
		"ShardMoveFailed":       {{`warren_shard_moves_total{service="a",outcome="error"}`: stepped(5, 1)}, {`warren_shard_moves_total{service="a",outcome="done"}`: stepped(5, 1)}},
		"RuleFails":             {{`prometheus_rule_evaluation_failures_total{rule_group="g"}`: counter(1)}, {`prometheus_rule_evaluation_failures_total{rule_group="g"}`: level(3)}},
		"RulesSlow":             {{`prometheus_rule_group_last_duration_seconds{rule_group="g"}`: level(20), `prometheus_rule_group_interval_seconds{rule_group="g"}`: level(10)}, {`prometheus_rule_group_last_duration_seconds{rule_group="g"}`: level(1), `prometheus_rule_group_interval_seconds{rule_group="g"}`: level(10)}},
		"CardinalityHigh":       {{`scrape_samples_post_metric_relabeling{service="a",instance="a"}`: level(20000)}, {`scrape_samples_post_metric_relabeling{service="a",instance="a"}`: level(500)}},
		"TooManySeries":         {{`scrape_samples_post_metric_relabeling{service="a",instance="a"}`: level(200000), `scrape_sample_limit{service="a",instance="a"}`: level(20000)}, {`scrape_samples_post_metric_relabeling{service="a",instance="a"}`: level(200000), `scrape_sample_limit{service="a",instance="a"}`: level(0)}},
		"SeriesRefused":         {{`warren_metrics_refused_samples_total{service="a",reason="series"}`: counter(9)}, {`warren_metrics_refused_samples_total{service="a",reason="disk"}`: counter(9)}},
		"MetricsNotStored":      {{`up{service="warren"}`: ended(40, 1)}, {`up{service="warren"}`: level(1), `up{service="a"}`: ended(40, 1)}},
		"SignalsDropped":        {{`warren_signals_dropped_total{signal="spans",reason="disk"}`: counter(9)}, {`warren_signals_dropped_total{signal="spans",reason="expired"}`: counter(9), `warren_signals_dropped_total{signal="spans",reason="queue"}`: level(9)}},
		"MetricsNotCompacted":   {{`prometheus_tsdb_compactions_failed_total`: stepped(9, 1)}, {`prometheus_tsdb_compactions_failed_total`: level(1)}},
		"MetricsCorrupt":        {{`prometheus_tsdb_wal_corruptions_total`: stepped(9, 1)}, {`prometheus_tsdb_wal_corruptions_total`: level(1)}},
		"AlertsNotDelivered":    {{`warren_alerts_deliveries_total{receiver="ops",outcome="failed"}`: counter(1)}, {`warren_alerts_deliveries_total{receiver="ops",outcome="delivered"}`: counter(1)}},
		"TracesDropped":         {{`warren_traces_dropped_spans_total{service="a"}`: counter(9)}, {`warren_traces_dropped_spans_total{service="a"}`: level(9)}},
	}
}

var labelForm = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// write puts the courses into the store, a sample every 15 seconds of a part of
// the time until now. All are written at once: what is older than half a block
// cannot be written later.
func write(t *testing.T, s *metricstore.Store, now time.Time, all series, from, to int) {
	t.Helper()
	var out []metricstore.Series
	for name, value := range all {
		metric, rest, _ := strings.Cut(name, "{")
		one := metricstore.Series{Labels: map[string]string{"__name__": metric}}
		for _, pair := range labelForm.FindAllStringSubmatch(rest, -1) {
			if pair[2] != "" {
				one.Labels[pair[1]] = pair[2]
			}
		}
		for ago := from; ago > to; ago -= 15 {
			if v := value(float64(ago) / 60); !math.IsNaN(v) {
				one.Points = append(one.Points, metricstore.Point{Time: now.Add(-time.Duration(ago) * time.Second), Value: v})
			}
		}
		out = append(out, one)
	}
	if err := s.Append(t.Context(), out...); err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, opts metricstore.Options) *metricstore.Store {
	t.Helper()
	opts.Dir, opts.Logger = t.TempDir(), slog.New(slog.DiscardHandler)
	s, err := metricstore.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestShippedAlertsFireAndDoNotFire(t *testing.T) {
	cases := sides()
	for _, g := range alerting.Shipped() {
		for _, r := range g.Rules {
			t.Run(r.Alert, func(t *testing.T) {
				if r.Alert == "Watchdog" { // it always fires
					return
				}
				both, ok := cases[r.Alert]
				if !ok {
					t.Fatal("no series for which it fires, and none for which it does not")
				}
				for side, want := range []bool{true, false} {
					s := openStore(t, metricstore.Options{})
					now := time.Now().Truncate(time.Second)
					write(t, s, now, both[side], written*60, -1)
					found, err := s.Query(t.Context(), r.Expr, now, 0)
					if err != nil {
						t.Fatal(err)
					}
					if fires := len(found.Series) > 0; fires != want {
						t.Errorf("side %d: fires is %v, want %v: %v", side, fires, want, found.Series)
					}
				}
			})
		}
	}
}

// Every alert can be understood by who is woken by it, and names metrics that exist.
func TestShippedAlertsAreComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	groups := alerting.Config{}.Rules(alerting.Timing{Scrape: 5 * time.Second, Evaluate: 10 * time.Second})
	if err := metricstore.CheckRules(groups); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if !slices.Contains([]string{alerting.Page, alerting.Ticket, alerting.Info, alerting.None}, r.Labels["severity"]) {
				t.Errorf("%s: severity is %q", r.Alert, r.Labels["severity"])
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s has no summary or no description", r.Alert)
			}
			if want := "docs/alerts.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s: the page is %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
			}
			if !strings.Contains(string(page), "\n### "+r.Alert+"\n") {
				t.Errorf("docs/alerts.md has no section %s", r.Alert)
			}
			seen[r.Alert] = true
		}
	}
	for _, title := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(page), -1) {
		if !seen[title[1]] {
			t.Errorf("docs/alerts.md has a section on %s, which is no alert", title[1])
		}
	}
}

// simulate evaluates a group of rules as the store does, over a time that has
// passed, and returns which alerts are true at its end. What nothing else is added
// up from it evaluates there only, and as long ago as is to be looked at.
func simulate(t *testing.T, s *metricstore.Store, g metricstore.RuleGroup, all series, now time.Time, looks ...time.Duration) []string {
	t.Helper()
	var firing []string
	step := int(g.Interval.Seconds())
	for ago := written * 60; ago > 0; ago -= step {
		write(t, s, now, all, ago, ago-step)
		left := time.Duration(ago-step) * time.Second
		at := now.Add(-left)
		firing = nil
		for _, r := range g.Rules {
			if left > 0 && !slices.Contains(looks, left) && (r.Alert != "" || r.Labels["window"] != "") {
				continue
			}
			found, err := s.Query(t.Context(), r.Expr, at, 0)
			if err != nil {
				t.Fatalf("%s: %v", r.Name(), err)
			}
			if r.Alert != "" {
				for range found.Series {
					firing = append(firing, r.Alert)
				}
				continue
			}
			for _, one := range found.Series {
				one.Labels["__name__"] = r.Record
				maps.Copy(one.Labels, r.Labels)
				if err := s.Append(t.Context(), one); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return firing
}

func TestObjectiveBurns(t *testing.T) {
	const (
		bad  = `http_server_request_duration_seconds_count{service="gateway",http_response_status_code="500"}`
		good = `http_server_request_duration_seconds_count{service="gateway",http_response_status_code="200"}`
		site = `http_server_request_duration_seconds_count{service="site",http_response_status_code="500"}`
	)
	tests := []struct {
		name   string
		series series
		period time.Duration
		want   string
	}{
		{"2 % bad burn fast", series{bad: counter(2), good: counter(98)}, 0, "[ErrorBudgetBurnsFast ErrorBudgetBurnsSlowly]"},
		{"0.4 % bad burn slowly", series{bad: counter(0.4), good: counter(99.6)}, 0, "[ErrorBudgetBurnsSlowly]"},
		{"0.05 % bad are allowed", series{bad: counter(0.05), good: counter(99.95)}, 0, "[]"},
		{"what a web site counts is counted at the gateway", series{site: counter(100), good: counter(100)}, 0, "[]"},
		{"nothing bad ever", series{good: counter(100)}, 0, "[]"},
		{"half of a handful", series{bad: counter(0.1), good: counter(0.1)}, 0, "[]"},
		{"over since half an hour", series{bad: func(ago float64) float64 { return (written - max(ago, 30)) * 5 }, good: counter(95)}, 0, "[ErrorBudgetBurnsSlowly]"},
		{"a period of an hour", series{bad: counter(20), good: counter(80)}, time.Hour, "[ErrorBudgetBurnsFast ErrorBudgetBurnsSlowly]"},
		{"a period of an hour, and over since two minutes", series{bad: func(ago float64) float64 { return (written - max(ago, 2)) * 20 }, good: counter(80)}, time.Hour, "[]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStore(t, metricstore.Options{})
			now := time.Now().Truncate(time.Second)
			timing := alerting.Timing{Scrape: 15 * time.Second, Evaluate: 15 * time.Second, Period: test.period}
			groups := alerting.Config{}.Rules(timing)
			n := slices.IndexFunc(groups, func(g metricstore.RuleGroup) bool { return g.Name == "slo-availability" })
			if got := fmt.Sprint(simulate(t, s, groups[n], test.series, now)); got != test.want {
				t.Errorf("%s fire, want %s", got, test.want)
			}
		})
	}
}
