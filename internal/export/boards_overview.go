package export

import "github.com/gowarren/warren/internal/alerting"

func overview() []row { return []row{objectives(), edge(), eachService(), plainHTTP(), resilience()} }

func objectives() row {
	return row{"Objectives", []panel{
		{title: "Error ratio of the last hour", unit: "percentunit", lines: []line{{`slo:error_ratio{window="1h"}`, "{{slo}}"}}},
		{title: "Firing alerts", unit: "short", lines: []line{{
			`count by (severity) (ALERTS{alertstate="firing",severity!="none"})`,
			"{{severity}}",
		}}},
		{title: "Instances that answer", unit: "short", lines: []line{{`sum by (service) (up` + picked + `)`, "{{service}}"}}},
	}}
}

func edge() row {
	const requests, arriving = `http_server_request_duration_seconds`, `{` + alerting.AtGateway + `}`
	return row{"Edge", []panel{
		{title: "Requests", unit: "reqps", lines: []line{{
			rate(requests+`_count`+arriving, "http_response_status_code"),
			"{{http_response_status_code}}",
		}}},
		{title: "Share of errors", unit: "percentunit", lines: []line{{
			`sum(rate(` + requests + `_count{` + alerting.AtGateway + `,` + alerting.FaultyRequests + `}[$__rate_interval])) / ` +
				`sum(rate(` + requests + `_count` + arriving + `[$__rate_interval]))`, "5xx",
		}}},
		{title: "Duration", unit: "s", lines: []line{
			{quantile("0.5", requests+"_bucket"+arriving, ""), "p50"},
			{quantile("0.95", requests+"_bucket"+arriving, ""), "p95"}, {quantile("0.99", requests+"_bucket"+arriving, ""), "p99"},
		}},
		{title: "Slowest routes, p95", unit: "s", lines: []line{{
			`topk(10, ` + quantile("0.95", requests+"_bucket"+arriving, "http_route") + `)`,
			"{{http_route}}",
		}}},
		{title: "Requests under way", unit: "short", lines: []line{{`sum(http_server_active_requests` + arriving + `)`, "requests"}}},
		{title: "Refused by rate limits", unit: "reqps", lines: []line{{
			`sum(rate(warren_gateway_rate_limited_total[$__rate_interval]))`,
			"refused",
		}}},
	}}
}

func eachService() row {
	const calls = `rpc_server_call_duration_seconds`
	return row{"Services: rate, errors, duration", []panel{
		{title: "Calls", unit: "reqps", lines: []line{{rate(calls+`_count`+picked, "service"), "{{service}}"}}},
		{title: "Share of errors", about: "Of the service's own doing.", unit: "percentunit", lines: []line{{
			`(` + rate(calls+`_count{service=~"$service",`+alerting.Faulty+`}`, "service") + ` or 0 * ` + rate(calls+`_count`+picked, "service") + `) / ` +
				rate(calls+`_count`+picked, "service"), "{{service}}",
		}}},
		{title: "Duration, p95", unit: "s", lines: []line{{quantile("0.95", calls+`_bucket`+picked, "service"), "{{service}}"}}},
		{title: "Busiest methods", unit: "reqps", lines: []line{{
			`topk(10, ` + rate(calls+`_count`+picked, "rpc_method") + `)`,
			"{{rpc_method}}",
		}}},
		{title: "Slowest methods, p95", unit: "s", lines: []line{{
			`topk(10, ` + quantile("0.95", calls+`_bucket`+picked, "rpc_method") + `)`,
			"{{rpc_method}}",
		}}},
		{title: "Errors by method", unit: "reqps", lines: []line{{
			`topk(10, ` + rate(calls+`_count{service=~"$service",`+alerting.Faulty+`}`, "service, rpc_method, rpc_response_status_code") + `)`,
			"{{rpc_method}} {{rpc_response_status_code}}",
		}}},
	}}
}

// plainHTTP are the services that answer requests themselves, such as a web site.
// Most of these requests have passed the gateway and are counted there, too.
func plainHTTP() row {
	const (
		requests = `http_server_request_duration_seconds`
		behind   = `service=~"$service",service!="gateway"`
		all      = requests + `_count{` + behind + `}`
		faulty   = requests + `_count{` + behind + `,` + alerting.FaultyRequests + `}`
		buckets  = requests + `_bucket{` + behind + `}`
	)
	return row{"Plain HTTP: rate, errors, duration", []panel{
		{title: "Requests to services", unit: "reqps", lines: []line{{rate(all, "service"), "{{service}}"}}},
		{title: "Share of errors of services", unit: "percentunit", lines: []line{{
			`(` + rate(faulty, "service") + ` or 0 * ` + rate(all, "service") + `) / ` + rate(all, "service"), "{{service}}",
		}}},
		{title: "Duration of services, p95", unit: "s", lines: []line{{quantile("0.95", buckets, "service"), "{{service}}"}}},
		{title: "Busiest pages", unit: "reqps", lines: []line{{
			`topk(10, ` + rate(all, "service, http_request_method, http_route") + `)`,
			"{{service}} {{http_request_method}} {{http_route}}",
		}}},
		{title: "Slowest pages, p95", unit: "s", lines: []line{{
			`topk(10, ` + quantile("0.95", buckets, "service, http_request_method, http_route") + `)`,
			"{{service}} {{http_request_method}} {{http_route}}",
		}}},
		{title: "Errors by page", unit: "reqps", lines: []line{{
			`topk(10, ` + rate(faulty, "service, http_request_method, http_route, http_response_status_code") + `)`,
			"{{service}} {{http_request_method}} {{http_route}} {{http_response_status_code}}",
		}}},
	}}
}

func resilience() row {
	return row{"Resilience", []panel{
		{title: "Further attempts", unit: "reqps", lines: []line{{
			rate(`warren_rpc_retries_total`+picked, "service, kind"),
			"{{service}} {{kind}}",
		}}},
		{title: "Breakers that are not closed", unit: "short", lines: []line{{
			`sum by (service, rpc_method, state) (warren_rpc_breaker_state` + picked + `)`,
			"{{service}} → {{rpc_method}} {{state}}",
		}}},
		{title: "Calls shed", unit: "reqps", lines: []line{{rate(`warren_rpc_shed_total`+picked, "service"), "{{service}}"}}},
		{title: "Calls under way", unit: "short", lines: []line{{
			`sum by (service) (warren_rpc_server_in_flight` + picked + `)`,
			"{{service}}",
		}}},
		{title: "Restarts", unit: "short", lines: []line{{
			`sum by (service) (increase(warren_fleet_restarts_total` + picked + `[$__rate_interval]))`,
			"{{service}}",
		}}},
		{title: "Settings in force", about: "One line while all run the same.", unit: "none", lines: []line{{
			`max by (service) (warren_config_revision` + picked + `)`,
			"{{service}}",
		}}},
	}}
}
