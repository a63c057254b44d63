package store

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector reads the pools' own counts when it is asked.
type poolCollector struct {
	pools map[string]*sql.DB

	count, limit, waited *prometheus.Desc
}

func newPoolCollector(db *DB) *poolCollector {
	pools := map[string]*sql.DB{db.name: db.write}
	if db.read != db.write {
		pools = map[string]*sql.DB{db.name + "/write": db.write, db.name + "/read": db.read}
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		// The constant label makes a second database of this name a duplicate.
		return prometheus.NewDesc(name, help, append([]string{"db_client_connection_pool_name"}, labels...),
			prometheus.Labels{"db_namespace": db.name})
	}
	return &poolCollector{
		pools:  pools,
		count:  desc("db_client_connection_count", "Connections of the pool, by state.", "db_client_connection_state"),
		limit:  desc("db_client_connection_max", "Most connections that the pool may have."),
		waited: desc("db_client_connection_wait_time_seconds", "How long those who had to wait for a connection waited; only count and sum are known."),
	}
}

// Describe implements [prometheus.Collector].
func (c *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.count, c.limit, c.waited} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *poolCollector) Collect(out chan<- prometheus.Metric) {
	for name, pool := range c.pools {
		s := pool.Stats()
		send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			if m, err := prometheus.NewConstMetric(d, kind, value, append([]string{name}, labels...)...); err == nil {
				out <- m
			}
		}
		send(c.count, prometheus.GaugeValue, float64(s.InUse), "used")
		send(c.count, prometheus.GaugeValue, float64(s.Idle), "idle")
		send(c.limit, prometheus.GaugeValue, float64(s.MaxOpenConnections))
		if m, err := prometheus.NewConstHistogram(c.waited, uint64(max(0, s.WaitCount)), s.WaitDuration.Seconds(), nil, name); err == nil {
			out <- m
		}
	}
}
