package alerting

import (
	"strings"
	"time"

	"github.com/gowarren/warren/internal/metricstore"
)

// rule is one alert that Warren ships. Its summary and description may use
// {{ $labels.… }} and {{ $value }}.
type rule struct {
	name, severity string
	expr           string
	hold           time.Duration
	summary        string
	description    string
}

// Severities of alerts.
const (
	Page   = "page"   // somebody must look now
	Ticket = "ticket" // somebody must look during the day
	Info   = "info"   // good to know when looking at another
	None   = "none"   // shows that alerts are evaluated and delivered at all
)

// own is the source of rules that Warren ships.
const own = "warren"

// runbooks is the page with a section for each alert.
const runbooks = "docs/alerts.md#"

// Faulty selects the calls that failed by the service's fault, and not by the
// caller's or a limit's.
const Faulty = `rpc_response_status_code=~"UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS"`

// AtGateway selects the requests that arrive from outside. Services of plain HTTP
// show theirs under the same name: what the gateway passed on to them would
// count twice.
const AtGateway = `service="gateway"`

// atSites selects the requests that services of plain HTTP were asked themselves.
const atSites = `service!="gateway"`

// FaultyRequests selects the requests that failed by the service's fault.
const FaultyRequests = `http_response_status_code=~"5.."`

// floods are instances that show more series than are taken.
const floods = `(scrape_samples_post_metric_relabeling > (scrape_sample_limit > 0))`

// shipped are the alerts on what every system of Warren has.
func shipped() map[string][]rule {
	return map[string][]rule{
		"warren-self":         selfRules(),
		"warren-instances":    instanceRules(),
		"warren-calls":        callRules(),
		"warren-saturation":   saturationRules(),
		"warren-events":       eventRules(),
		"warren-transactions": transactionRules(),
		"warren-settings":     settingRules(),
	}
}

func instanceRules() []rule {
	return []rule{
		{
			"InstanceDown", Page, `up == 0 unless on (instance) ` + floods, time.Minute,
			"{{ $labels.instance }} does not answer",
			"The instance is registered, but its metrics have not been readable for a minute: it hangs, or its machine does.",
		},
		{
			"ServiceDown", Page, `warren_fleet_wanted_instances > 0 unless on (service) warren_fleet_instances{state="ready"} > 0`, 30 * time.Second,
			"No instance of {{ $labels.service }} is ready", "{{ $value }} are wanted, and none is ready.",
		},
		{
			"InstancesMissing", Ticket,
			`warren_fleet_wanted_instances - on (service) group_left () sum by (service) (warren_fleet_instances{state="ready"}) > 0`, 2 * time.Minute,
			"{{ $labels.service }} has too few instances", "{{ $value }} of the wanted instances are not ready.",
		},
		{
			"InstanceFlapping", Ticket, `sum by (service) (increase(warren_fleet_restarts_total[15m])) > 2`, 0,
			"{{ $labels.service }} ends by itself again and again", "Its processes were started again {{ $value | printf \"%.0f\" }} times within 15 minutes.",
		},
		{
			// It is started in between: that is not its end.
			"CrashLoop", Page, `sum by (service) (max_over_time(warren_fleet_instances{state="crash_loop"}[1m])) > 0`, 0,
			"{{ $labels.service }} ends before it is ready", "{{ $value }} of its instances ended again and again without becoming ready.",
		},
	}
}

const byService = `sum by (service) `

// failing and slow are of a service: one that is asked in both ways is in trouble
// when either is.
func failing(all, wrong string) string {
	return byService + `(rate(` + wrong + `[5m])) / ` + byService + `(rate(` + all + `[5m])) > 0.05 and ` + byService + `(rate(` + all + `[5m])) > 0.1`
}

func slow(all, buckets string) string {
	return `histogram_quantile(0.99, sum by (service, le) (rate(` + buckets + `[5m]))) > 1 and ` + byService + `(rate(` + all + `[5m])) > 0.1`
}

func callRules() []rule {
	const (
		calls    = `rpc_server_call_duration_seconds`
		requests = `http_server_request_duration_seconds_count{` + AtGateway + `}`
		faulty   = `http_server_request_duration_seconds_count{` + AtGateway + `,` + FaultyRequests + `}`
		asked    = `http_server_request_duration_seconds_count{` + atSites + `}`
		broken   = `http_server_request_duration_seconds_count{` + atSites + `,` + FaultyRequests + `}`
	)
	return []rule{
		{
			"HighErrorRatio", Page,
			failing(calls+`_count`, calls+`_count{`+Faulty+`}`) + ` or ` + failing(asked, broken), 2 * time.Minute,
			"{{ $labels.service }} fails", "{{ $value | humanizePercentage }} of its calls, or of the HTTP requests to it, fail by its own fault.",
		},
		{
			"HighLatency", Ticket,
			slow(calls+`_count`, calls+`_bucket`) + ` or ` + slow(asked, `http_server_request_duration_seconds_bucket{`+atSites+`}`), 5 * time.Minute,
			"{{ $labels.service }} is slow", "One in a hundred of its calls, or of the HTTP requests to it, takes more than {{ $value | humanizeDuration }}.",
		},
		{
			"GatewayErrors", Page,
			`sum(rate(` + faulty + `[5m])) / sum(rate(` + requests + `[5m])) > 0.05 and sum(rate(` + requests + `[5m])) > 0.1`, 2 * time.Minute,
			"Requests fail at the gateway", "{{ $value | humanizePercentage }} of the requests are answered with a status of 500 and more.",
		},
		{
			"TrafficDrop", Ticket,
			`sum(rate(` + requests + `[5m])) < 0.3 * sum(rate(` + requests + `[5m] offset 1h)) and ` +
				`sum(rate(` + requests + `[5m] offset 1h)) > 1`, 5 * time.Minute,
			"Far fewer requests than an hour ago", "{{ $value | humanize }} requests a second arrive, less than a third of those an hour ago.",
		},
		{
			"RetryStorm", Ticket,
			byService + `(rate(warren_rpc_retries_total{kind!="over_budget"}[5m])) / ` +
				byService + `(rate(rpc_client_call_duration_seconds_count[5m])) > 0.5 and ` +
				byService + `(rate(rpc_client_call_duration_seconds_count[5m])) > 1`, 2 * time.Minute,
			"{{ $labels.service }} tries most calls again", "It makes {{ $value | humanize }} further attempts for each of its calls.",
		},
		{
			"BreakerOpen", Ticket, `sum by (service, rpc_method) (warren_rpc_breaker_state{state="open"}) > 0`, time.Minute,
			"{{ $labels.service }} does not call {{ $labels.rpc_method }}", "{{ $value }} of its breakers to that method are open, since most calls failed.",
		},
		{
			"CallsShed", Ticket, byService + `(rate(warren_rpc_shed_total[5m])) > 0.1`, 2 * time.Minute,
			"{{ $labels.service }} has too much to do", "It refuses {{ $value | humanize }} calls a second.",
		},
		{
			"HandlerPanics", Page,
			`sum by (service, rpc_method) (increase(warren_rpc_panics_total[10m])) > 0 or ` +
				`sum by (service, http_route) (increase(warren_http_panics_total[10m])) > 0`, 0,
			"{{ $labels.service }} panics in {{ $labels.rpc_method }}{{ $labels.http_route }}",
			"A handler of {{ $labels.service }} panicked {{ $value | printf \"%.0f\" }} times within ten minutes.",
		},
		{
			"RateLimited", Info, `sum(rate(warren_gateway_rate_limited_total[5m])) > 1`, 5 * time.Minute,
			"Rate limits refuse requests", "{{ $value | humanize }} requests a second are refused at the gateway.",
		},
	}
}

func saturationRules() []rule {
	return []rule{
		{
			"GoroutineLeak", Ticket, `deriv(go_goroutines[30m]) * 1800 > 500 and go_goroutines > 2 * (go_goroutines offset 30m)`, 10 * time.Minute,
			"{{ $labels.instance }} has more and more goroutines", "There were {{ $value | printf \"%.0f\" }} more of them within half an hour.",
		},
		{
			"MemoryNearLimit", Ticket, `process_resident_memory_bytes / (go_gc_gomemlimit_bytes < 2 ^ 62) > 0.9`, 5 * time.Minute,
			"{{ $labels.instance }} is near its memory limit", "It uses {{ $value | humanizePercentage }} of its memory limit.",
		},
		{
			"FileDescriptorsShort", Ticket, `process_open_fds / process_max_fds > 0.8`, 5 * time.Minute,
			"{{ $labels.instance }} has too many files open", "{{ $value | humanizePercentage }} of the files and connections that it may open are open.",
		},
		{
			"DatabasePoolExhausted", Ticket,
			`rate(db_client_connection_wait_time_seconds_sum[5m]) / rate(db_client_connection_wait_time_seconds_count[5m]) > 0.1`, 2 * time.Minute,
			"{{ $labels.service }} waits for database connections",
			"Who needs a connection of {{ $labels.db_client_connection_pool_name }} waits {{ $value | humanizeDuration }} for it.",
		},
		{
			"DatabaseErrors", Page,
			`sum by (service) (rate(db_client_operation_duration_seconds_count{error_type!=""}[5m])) ` +
				`/ sum by (service) (rate(db_client_operation_duration_seconds_count[5m])) > 0.05 and ` +
				`sum by (service) (rate(db_client_operation_duration_seconds_count[5m])) > 0.1`, 2 * time.Minute,
			"The database of {{ $labels.service }} fails", "{{ $value | humanizePercentage }} of its queries fail.",
		},
		{
			// What was known last: a disk that is full takes no samples either. 256 MiB
			// is a little more than what traces and metrics leave to the services.
			"DiskAlmostFull", Page,
			`last_over_time(warren_data_free_bytes[6h]) / last_over_time(warren_data_size_bytes[6h]) < 0.05 or ` +
				`last_over_time(warren_data_free_bytes[6h]) / last_over_time(warren_data_size_bytes[6h]) and ` +
				`last_over_time(warren_data_free_bytes[6h]) < 256 * 2 ^ 20`, time.Minute,
			"The disk of the system's data is almost full", "{{ $value | humanizePercentage }} of it are free.",
		},
		{
			"DiskWillFill", Ticket,
			`predict_linear(warren_data_free_bytes[1h], 4 * 3600) < 0 and warren_data_free_bytes / warren_data_size_bytes < 0.3`, 10 * time.Minute,
			"The disk of the system's data fills up", "As it fills now, it is full in less than four hours.",
		},
	}
}

func eventRules() []rule {
	const of = `{{ $labels.messaging_destination_name }} of {{ $labels.messaging_consumer_group_name }}`
	return []rule{
		{
			"OutboxStuck", Page, `max by (service) (warren_outbox_age_seconds) > 60`, time.Minute,
			"Events of {{ $labels.service }} do not leave", "The oldest event in its outbox has waited for the broker for {{ $value | humanizeDuration }}.",
		},
		{
			"ConsumerLagGrows", Ticket,
			`max by (messaging_destination_name, messaging_consumer_group_name) (warren_events_lag) > 100 and ` +
				`max by (messaging_destination_name, messaging_consumer_group_name) (deriv(warren_events_lag[10m])) > 0`, 5 * time.Minute,
			"A subscriber falls behind: " + of, "{{ $value | humanize }} events wait for it, and they become more.",
		},
		{
			"EventsRetried", Ticket, `max by (messaging_destination_name, messaging_consumer_group_name) (warren_events_retries) > 0`, 5 * time.Minute,
			"Events fail again and again: " + of, "{{ $value | humanize }} events wait to be tried again, or behind one that does.",
		},
		{
			"DeadLettersGrow", Page, `max by (messaging_destination_name, messaging_consumer_group_name) (delta(warren_dead_letters[10m])) > 0`, 0,
			"New dead letters: " + of, "{{ $value | printf \"%.0f\" }} more events were given up within ten minutes.",
		},
		{
			"DeadLetters", Ticket, `max by (messaging_destination_name, messaging_consumer_group_name) (warren_dead_letters) > 0`, time.Hour,
			"Dead letters wait: " + of, "{{ $value | printf \"%.0f\" }} dead letters have waited for an hour for somebody to settle them.",
		},
	}
}

func transactionRules() []rule {
	return []rule{
		{
			"TransactionsParked", Page, `sum by (service) (warren_txn_parked) > 0`, 0,
			"Transactions wait for an operator", "{{ $value | printf \"%.0f\" }} transactions can neither be finished nor turned back.",
		},
		{
			"TransactionStuck", Ticket, `max by (service) (warren_txn_oldest_seconds) > 300`, time.Minute,
			"A transaction does not come to its end", "The oldest transaction has been under way for {{ $value | humanizeDuration }}.",
		},
		{
			"CompensationRatio", Ticket,
			`sum by (name) (rate(warren_txn_duration_seconds_count{outcome="failed"}[10m])) / ` +
				`sum by (name) (rate(warren_txn_duration_seconds_count[10m])) > 0.3 and ` +
				`` +
				`sum by (name) (increase(warren_txn_duration_seconds_count[10m])) > 10`, 5 * time.Minute,
			"Many transactions {{ $labels.name }} fail", "{{ $value | humanizePercentage }} of them were turned back within ten minutes.",
		},
		{
			"PreparedTooLong", Ticket, `max by (service) (warren_txn_prepared_oldest_seconds) > 300`, time.Minute,
			"A prepared transaction of {{ $labels.service }} is not decided", "It has held its locks for {{ $value | humanizeDuration }}.",
		},
		{
			"PreparedLost", Page, `sum by (service) (increase(warren_txn_prepared_lost_total[15m])) > 0`, 0,
			"{{ $labels.service }} lost a prepared transaction",
			"{{ $value | printf \"%.0f\" }} prepared transactions that were to be committed were not there any more.",
		},
		{
			"TransactionOrphans", Ticket, `sum(warren_txn_orphans) > 0`, 5 * time.Minute,
			"Nobody decides prepared transactions", "{{ $value | printf \"%.0f\" }} prepared parts of two-phase commits belong to no transaction.",
		},
		{
			"CoordinatorStoreFails", Page, `sum(increase(warren_txn_store_errors_total[5m])) > 0`, time.Minute,
			"The coordinator does not write", "{{ $value | printf \"%.0f\" }} of its commits went wrong within five minutes.",
		},
	}
}

func settingRules() []rule {
	return []rule{
		{
			"EtcdSlow", Ticket, `histogram_quantile(0.99, sum by (le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m]))) > 0.5`, 5 * time.Minute,
			"The embedded etcd writes slowly", "One write in a hundred takes more than {{ $value | humanizeDuration }}: settings and the registry are slow.",
		},
		{
			"EtcdAlmostFull", Page, `etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes > 0.8`, 5 * time.Minute,
			"The embedded etcd is almost full", "{{ $value | humanizePercentage }} of its room are used; when it is full it takes no more writes.",
		},
		{
			"ConfigStale", Ticket, `warren_config_stale == 1`, time.Minute,
			"{{ $labels.instance }} does not follow the settings",
			"The configuration centre is away for it, or what it says is refused; the last good settings are in force.",
		},
		{
			"ConfigRefused", Ticket, `sum by (service, kind) (increase(warren_config_refused_total[15m])) > 0`, 0,
			"{{ $labels.service }} refused settings", "A {{ $labels.kind }} from the configuration centre was refused; the last good one is in force.",
		},
		{
			"ConfigRevisionsDiffer", Ticket, `max(warren_config_revision) - min(warren_config_revision) > 0`, time.Minute,
			"Instances run different settings", "One of them is {{ $value | printf \"%.0f\" }} revisions behind.",
		},
		{
			"RegistryAway", Ticket, `warren_registry_stale == 1`, time.Minute,
			"{{ $labels.instance }} does not reach the registry", "It uses the registry's last word.",
		},
		{
			"RegistryDoubted", Ticket, `sum(increase(warren_registry_panics_total[5m])) > 0`, 0,
			"Most instances expired together", "The registry is doubted instead of them: they are kept.",
		},
		{
			"LockLost", Ticket, `sum by (service) (increase(warren_lock_lost_total[15m])) > 0`, 0,
			"{{ $labels.service }} lost a lock that it held", "{{ $value | printf \"%.0f\" }} locks were lost within 15 minutes before they were released.",
		},
		{
			"ShardMoveFailed", Ticket, `sum by (service) (increase(warren_shard_moves_total{outcome="error"}[15m])) > 0`, 0,
			"A shard of {{ $labels.service }} was not moved", "{{ $value | printf \"%.0f\" }} moves failed within 15 minutes.",
		},
	}
}

func selfRules() []rule {
	return []rule{
		{
			"Watchdog", None, `vector(1)`, 0,
			"Alerts work", "It always fires: where it is missing, alerts are not evaluated or not delivered.",
		},
		{
			"RuleFails", Ticket, `sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0`, 0,
			"A rule is not evaluated", "Rules of {{ $labels.rule_group }} failed {{ $value | printf \"%.0f\" }} times within five minutes.",
		},
		{
			"RulesSlow", Ticket, `prometheus_rule_group_last_duration_seconds > prometheus_rule_group_interval_seconds`, 5 * time.Minute,
			"Rules take too long", "The rules of {{ $labels.rule_group }} take {{ $value | humanizeDuration }}, longer than their interval.",
		},
		{
			"CardinalityHigh", Ticket, `sum by (service, instance) (scrape_samples_post_metric_relabeling) > 10000`, 5 * time.Minute,
			"{{ $labels.instance }} has too many series", "It shows {{ $value | humanize }} series; a label of one has too many values.",
		},
		{
			"TooManySeries", Ticket, `max by (service, instance) ` + floods, 0,
			"{{ $labels.instance }} has more series than are taken", "It shows {{ $value | humanize }} series: none of them are stored, and it counts as down.",
		},
		{
			"SeriesRefused", Ticket, `sum by (service) (increase(warren_metrics_refused_samples_total{reason="series"}[10m])) > 0`, 0,
			"{{ $labels.service }} begins ever new series", "{{ $value | humanize }} samples of new series were not stored within ten minutes.",
		},
		{
			// The newest sample is looked for in the past, as it is the last one.
			"MetricsNotStored", Page, `time() - max(max_over_time(timestamp(up{service="warren"})[1h:10s])) > 60`, 30 * time.Second,
			"Metrics are not stored",
			"The last ones are {{ $value | humanizeDuration }} old: other alerts do not see what happens now. Mostly the disk is full.",
		},
		{
			"MetricsNotCompacted", Ticket, `increase(prometheus_tsdb_compactions_failed_total[15m]) > 0`, 0,
			"The store of metrics is not compacted", "Compaction failed {{ $value | printf \"%.0f\" }} times within 15 minutes: mostly the disk is full.",
		},
		{
			"MetricsCorrupt", Ticket, `increase(prometheus_tsdb_wal_corruptions_total[1h]) > 0`, 0,
			"The store of metrics was damaged", "Its log was damaged and repaired: some samples are lost.",
		},
		{
			"AlertsNotDelivered", Page, `sum by (receiver) (increase(warren_alerts_deliveries_total{outcome="failed"}[5m])) > 0`, 2 * time.Minute,
			"{{ $labels.receiver }} is not told of alerts", "{{ $value | printf \"%.0f\" }} attempts to tell it failed within five minutes.",
		},
		{
			"SignalsDropped", Ticket, `sum by (reason) (rate(warren_signals_dropped_total{reason=~"disk|queue"}[5m])) > 0`, time.Minute,
			"Traces and logs are not stored",
			"{{ $value | humanize }} spans and lines a second are dropped: the disk takes no more (disk), or more comes than is written (queue).",
		},
		{
			"TracesDropped", Ticket, `sum by (service) (rate(warren_traces_dropped_spans_total[5m])) > 0`, 5 * time.Minute,
			"Spans of {{ $labels.service }} are lost", "{{ $value | humanize }} spans a second are lost: the collector is away, or too slow.",
		},
	}
}

// Shipped returns the alerts that every system has, as groups in the order of
// their names.
func Shipped() []metricstore.RuleGroup {
	var out []metricstore.RuleGroup
	all := shipped()
	for _, name := range sortedKeys(all) {
		g := metricstore.RuleGroup{Name: name}
		for _, r := range all[name] {
			g.Rules = append(g.Rules, metricstore.Rule{
				Alert: r.name, Expr: r.expr, For: r.hold, Labels: map[string]string{severityLabel: r.severity},
				Annotations: map[string]string{"summary": r.summary, "description": r.description, "runbook_url": runbooks + strings.ToLower(r.name)},
			})
		}
		out = append(out, g)
	}
	return out
}
