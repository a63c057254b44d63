package export

const picked = `{service=~"$service"}`

// boards are all dashboards. Their expressions are checked against the register
// of names.
func boards() []board {
	return []board{
		{"warren-overview", "Overview", "Is the system well: objectives, the edge, and rate, errors and duration of each service.", overview()},
		{"warren-runtime", "Go runtime", "What the processes need: processors, memory, goroutines, files; and databases.", goRuntime()},
		{"warren-work", "Transactions and events", "What goes on between services: transactions, events, dead letters.", work()},
		{"warren-shop", "Shop", "What the shop sells, and what goes wrong with it.", shop()},
	}
}

// rate sums a counter's rate, by labels.
func rate(metric, by string) string {
	return `sum by (` + by + `) (rate(` + metric + `[$__rate_interval]))`
}

// quantile is one of a histogram, by labels besides the bucket's.
func quantile(q, metric, by string) string {
	if by != "" {
		by += ", "
	}
	return `histogram_quantile(` + q + `, sum by (` + by + `le) (rate(` + metric + `[$__rate_interval])))`
}

func goRuntime() []row {
	each := func(title, unit, expr string) panel {
		return panel{title: title, unit: unit, lines: []line{{expr, "{{instance}}"}}}
	}
	return []row{
		{"Processes", []panel{
			each("Processors in use", "short", `rate(process_cpu_seconds_total`+picked+`[$__rate_interval])`),
			each("Memory", "bytes", `process_resident_memory_bytes`+picked),
			each("Open files", "short", `process_open_fds`+picked),
		}},
		{"Go", []panel{
			each("Goroutines", "short", `go_goroutines`+picked),
			each("Heap in use", "bytes", `go_memstats_heap_inuse_bytes`+picked),
			each("Allocated per second", "Bps", `rate(go_memstats_alloc_bytes_total`+picked+`[$__rate_interval])`),
			each("Longest pause for garbage", "s", `go_gc_duration_seconds{service=~"$service",quantile="1"}`),
			each("Collections of garbage", "ops", `rate(go_gc_duration_seconds_count`+picked+`[$__rate_interval])`),
			each("Threads", "short", `go_threads`+picked),
		}},
		{"Databases", []panel{
			{title: "Statements", unit: "ops", lines: []line{{
				rate(`db_client_operation_duration_seconds_count`+picked, "service, db_operation_name"),
				"{{service}} {{db_operation_name}}",
			}}},
			{title: "Duration, p95", unit: "s", lines: []line{{
				quantile("0.95", `db_client_operation_duration_seconds_bucket`+picked, "service"),
				"{{service}}",
			}}},
			{title: "Errors", unit: "ops", lines: []line{{
				rate(`db_client_operation_duration_seconds_count{service=~"$service",error_type!=""}`, "service, error_type"),
				"{{service}} {{error_type}}",
			}}},
			{title: "Connections", unit: "short", lines: []line{{
				`sum by (service, db_client_connection_state) (db_client_connection_count` + picked + `)`, "{{service}} {{db_client_connection_state}}",
			}}},
			{title: "Wait for a connection", unit: "s", lines: []line{{
				rate(`db_client_connection_wait_time_seconds_sum`+picked, "service") + ` / ` +
					rate(`db_client_connection_wait_time_seconds_count`+picked, "service"), "{{service}}",
			}}},
			{title: "Run again", unit: "ops", lines: []line{{
				rate(`warren_store_repeats_total`+picked, "service, reason"),
				"{{service}} {{reason}}",
			}}},
		}},
		{"Caches", []panel{
			{title: "Reads", unit: "ops", lines: []line{{rate(`warren_cache_requests_total`+picked, "cache, result"), "{{cache}} {{result}}"}}},
			{title: "Entries", unit: "short", lines: []line{{`sum by (cache) (warren_cache_entries` + picked + `)`, "{{cache}}"}}},
		}},
	}
}

func work() []row {
	const group, groupName = "messaging_destination_name, messaging_consumer_group_name", "{{messaging_destination_name}} → {{messaging_consumer_group_name}}"
	return []row{
		{"Transactions", []panel{
			{title: "Begun", unit: "ops", lines: []line{{rate(`warren_txn_begun_total`, "name, pattern"), "{{name}} {{pattern}}"}}},
			{title: "Ended", unit: "ops", lines: []line{{rate(`warren_txn_duration_seconds_count`, "name, outcome"), "{{name}} {{outcome}}"}}},
			{title: "Duration, p95", unit: "s", lines: []line{{quantile("0.95", `warren_txn_duration_seconds_bucket`, "name"), "{{name}}"}}},
			{title: "Under way", unit: "short", lines: []line{
				{`sum(warren_txn_active)`, "active"},
				{`sum(warren_txn_parked)`, "parked"},
				{`sum(warren_txn_orphans)`, "orphans"},
			}},
			{title: "Age of the oldest", unit: "s", lines: []line{
				{`max(warren_txn_oldest_seconds)`, "transaction"},
				{`max by (service) (warren_txn_prepared_oldest_seconds` + picked + `)`, "prepared at {{service}}"},
			}},
			{title: "Calls of branches", unit: "ops", lines: []line{{
				rate(`warren_txn_call_duration_seconds_count`, "method, op, outcome"),
				"{{method}} {{op}} {{outcome}}",
			}}},
		}},
		{"Events", []panel{
			{title: "Published", unit: "ops", lines: []line{{
				rate(`messaging_client_sent_messages_total`+picked, "messaging_destination_name"),
				"{{messaging_destination_name}}",
			}}},
			{title: "Handled", unit: "ops", lines: []line{{
				rate(`messaging_process_duration_seconds_count`+picked, "messaging_consumer_group_name, outcome"),
				"{{messaging_consumer_group_name}} {{outcome}}",
			}}},
			{title: "Duration of handling, p95", unit: "s", lines: []line{{
				quantile("0.95", `messaging_process_duration_seconds_bucket`+picked, "messaging_consumer_group_name"),
				"{{messaging_consumer_group_name}}",
			}}},
			{title: "Wait at the broker", unit: "short", lines: []line{{`max by (` + group + `) (warren_events_lag` + picked + `)`, groupName}}},
			{title: "Age of the outbox", unit: "s", lines: []line{{`max by (service) (warren_outbox_age_seconds` + picked + `)`, "{{service}}"}}},
			{title: "Wait in the outbox", unit: "short", lines: []line{{`sum by (service) (warren_outbox_pending` + picked + `)`, "{{service}}"}}},
		}},
		{"What failed", []panel{
			{title: "Dead letters", unit: "short", lines: []line{{`max by (` + group + `) (warren_dead_letters` + picked + `)`, groupName}}},
			{title: "Tried again", unit: "short", lines: []line{{`max by (` + group + `) (warren_events_retries` + picked + `)`, groupName}}},
			{title: "Repetitions dropped", unit: "ops", lines: []line{{rate(`warren_events_duplicates_total`+picked, group), groupName}}},
		}},
	}
}

func shop() []row {
	return []row{
		{"Orders", []panel{
			{title: "Orders by state", unit: "ops", lines: []line{{rate(`shop_orders_total`, "state"), "{{state}}"}}},
			{title: "Delivered within an hour", unit: "short", kind: "stat", lines: []line{{
				`sum(increase(shop_orders_total{state="delivered"}[1h]))`,
				"delivered",
			}}},
			{title: "Share of orders rejected", unit: "percentunit", lines: []line{{
				`sum(rate(shop_orders_total{state="rejected"}[$__rate_interval])) / sum(rate(shop_orders_total{state="placed"}[$__rate_interval]))`, "rejected",
			}}},
		}},
		{"Checkout", []panel{
			{title: "Duration of the checkout", unit: "s", lines: []line{
				{quantile("0.5", `shop_checkout_duration_seconds_bucket`, "outcome"), "p50 {{outcome}}"},
				{quantile("0.95", `shop_checkout_duration_seconds_bucket`, "outcome"), "p95 {{outcome}}"},
			}},
			{title: "Payments", unit: "ops", lines: []line{{rate(`shop_payments_total`, "operation, outcome"), "{{operation}} {{outcome}}"}}},
			{title: "Stock", unit: "ops", lines: []line{{rate(`shop_stock_reservations_total`, "outcome"), "{{outcome}}"}}},
		}},
		{"Customers", []panel{
			{title: "Passwords hashed", unit: "ops", lines: []line{{`sum(rate(shop_password_hashes_total[$__rate_interval]))`, "hashes"}}},
			{title: "Wait for a password", unit: "short", lines: []line{{`sum(shop_password_waiting)`, "callers"}}},
		}},
	}
}
