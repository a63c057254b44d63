package store

import (
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"go.opentelemetry.io/otel/attribute"
)

// placeOf is where a database is, as OpenTelemetry has it: its own name, at a
// server that is the same for all who use it. A file has no server.
func placeOf(dialect Dialect, namespace, host string, port int) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("db.system.name", systemNames[dialect]), attribute.String("db.namespace", namespace)}
	if host != "" {
		out = append(out, attribute.String("server.address", host))
	}
	if port > 0 {
		out = append(out, attribute.Int("server.port", port))
	}
	return out
}

// mysqlPlace is the same for a server that the driver names in one word.
func mysqlPlace(config *mysql.Config) []attribute.KeyValue {
	host, digits, err := net.SplitHostPort(config.Addr)
	if config.Net != "tcp" || err != nil {
		return placeOf(MySQL, config.DBName, config.Addr, 0) // a socket
	}
	port, _ := strconv.Atoi(digits) // connecting tells what is wrong with it
	return placeOf(MySQL, config.DBName, host, port)
}
