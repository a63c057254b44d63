package gateway

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gowarren/warren/internal/redact"
)

// accessLine is what the access log says of one request. Bodies, tokens and
// queries are not in it: they hold what nobody should read in a log.
type accessLine struct {
	time             time.Time
	method, path     string
	route, target    string
	status           int
	sent             int64
	duration         time.Duration
	client, protocol string
	requestID, trace string
	user, agent      string
	reason           string
}

// accessLog writes lines beside the requests: a request never waits for a
// disk. When lines come faster than they can be written they are dropped, and
// counted.
type accessLog struct {
	lines   chan accessLine
	out     *bufio.Writer
	handler slog.Handler
	dropped prometheus.Counter
	stop    chan struct{}
	done    chan struct{}
}

const accessQueue = 8192

func newAccessLog(w io.Writer, dropped prometheus.Counter) *accessLog {
	if w == nil {
		return nil
	}
	l := &accessLog{
		lines: make(chan accessLine, accessQueue), out: bufio.NewWriterSize(w, 64<<10),
		dropped: dropped, stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.handler = slog.NewJSONHandler(l.out, nil)
	go l.write()
	return l
}

func (l *accessLog) add(line accessLine) {
	if l == nil {
		return
	}
	select {
	case l.lines <- line:
	default:
		l.dropped.Inc()
	}
}

func (l *accessLog) write() {
	defer close(l.done)
	for {
		select {
		case line := <-l.lines:
			l.one(line)
		case <-l.stop:
			for len(l.lines) > 0 {
				l.one(<-l.lines)
			}
			return
		}
	}
}

func (l *accessLog) one(line accessLine) {
	r := slog.NewRecord(line.time, slog.LevelInfo, "request", 0)
	r.AddAttrs(
		slog.String("method", line.method), slog.String("path", withoutCards(line.path)),
		slog.String("route", line.route), slog.String("target", line.target),
		slog.Int("status", line.status), slog.Int64("bytes", line.sent),
		slog.Float64("ms", float64(line.duration.Microseconds())/1000),
		slog.String("client", line.client), slog.String("protocol", line.protocol),
		slog.String("request_id", line.requestID), slog.String("trace_id", line.trace),
		slog.String("user", line.user), slog.String("agent", withoutCards(line.agent)),
	)
	if line.reason != "" {
		r.AddAttrs(slog.String("reason", line.reason))
	}
	// A log that cannot be written has nobody to tell.
	_ = l.handler.Handle(context.Background(), r)
	if len(l.lines) == 0 {
		_ = l.out.Flush()
	}
}

func (l *accessLog) close() {
	if l == nil {
		return
	}
	close(l.stop)
	<-l.done
	_ = l.out.Flush()
}

// withoutCards takes out the card numbers that clients put where none belong.
func withoutCards(s string) string {
	s, _ = redact.Text(s)
	return s
}

// short keeps what clients made up from filling the log.
func short(s string) string {
	if len(s) > 512 {
		return s[:512]
	}
	return s
}
