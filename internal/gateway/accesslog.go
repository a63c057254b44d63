package gateway

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
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
	out     io.Writer
	dropped prometheus.Counter
	woken   chan struct{}
	stop    chan struct{}
	done    chan struct{}

	mu      sync.Mutex
	waiting []accessLine
}

const (
	accessQueue = 8192
	// accessPause is for how long lines gather: to wake the writer for each, and
	// to write each by itself, would cost far more than the lines do.
	accessPause = 10 * time.Millisecond
	accessWrite = 64 << 10 // written at once
)

func newAccessLog(w io.Writer, dropped prometheus.Counter) *accessLog {
	if w == nil {
		return nil
	}
	l := &accessLog{out: w, dropped: dropped, woken: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *accessLog) add(line accessLine) {
	if l == nil {
		return
	}
	l.mu.Lock()
	n := len(l.waiting)
	if n < accessQueue {
		l.waiting = append(l.waiting, line)
	}
	l.mu.Unlock()
	switch n {
	case accessQueue:
		l.dropped.Inc()
	case 0:
		select {
		case l.woken <- struct{}{}:
		default:
		}
	}
}

func (l *accessLog) run() {
	defer close(l.done)
	var lines []accessLine
	var text []byte
	pause := time.NewTimer(accessPause)
	defer pause.Stop()
	for stopped := false; !stopped; {
		select {
		case <-l.woken:
			pause.Reset(accessPause)
			select {
			case <-pause.C:
			case <-l.stop:
				stopped = true
			}
		case <-l.stop:
			stopped = true
		}
		l.mu.Lock()
		lines, l.waiting = l.waiting, lines[:0]
		l.mu.Unlock()
		text = l.write(lines, text)
		clear(lines) // what they hold of requests is free
	}
}

// write writes lines, and returns the buffer it used.
func (l *accessLog) write(lines []accessLine, text []byte) []byte {
	text = text[:0]
	for i := range lines {
		text = lines[i].append(text)
		if len(text) >= accessWrite || i == len(lines)-1 {
			_, _ = l.out.Write(text) // a log that cannot be written has nobody to tell
			text = text[:0]
		}
	}
	return text
}

// append writes the line as slog would, which takes twice as long for it.
func (a *accessLine) append(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = a.time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"INFO","msg":"request"`...)
	b = appendText(b, "method", a.method)
	b = appendText(b, "path", withoutCards(a.path))
	b = appendText(b, "route", a.route)
	b = appendText(b, "target", a.target)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(a.status), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), a.sent, 10)
	b = strconv.AppendFloat(append(b, `,"ms":`...), float64(a.duration.Microseconds())/1000, 'f', -1, 64)
	b = appendText(b, "client", a.client)
	b = appendText(b, "protocol", a.protocol)
	b = appendText(b, "request_id", a.requestID)
	b = appendText(b, "trace_id", a.trace)
	b = appendText(b, "user", a.user)
	b = appendText(b, "agent", withoutCards(a.agent))
	if a.reason != "" {
		b = appendText(b, "reason", a.reason)
	}
	return append(b, "}\n"...)
}

// appendText appends a member of a JSON object that is not its first.
func appendText(b []byte, key, value string) []byte {
	b = append(append(append(b, `,"`...), key...), `":`...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(value) //nolint:errchkjson // a string: it never fails
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), value...), '"')
}

func (l *accessLog) close() {
	if l == nil {
		return
	}
	close(l.stop)
	<-l.done
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
