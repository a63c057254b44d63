package segment

import (
	"strings"
)

const traceColumns = "id, trace, at, start, finish, duration, spans, stored, errors, chunks, bytes, service, name, services, order_id, gid, flags"

// scanTrace reads a row of traceColumns.
func scanTrace(scan func(...any) error) (*trace, error) {
	r := &trace{}
	var id []byte
	var services string
	var flags int
	err := scan(&r.id, &id, &r.At, &r.Start, &r.End, &r.Duration, &r.Spans, &r.stored, &r.Errors, &r.chunks, &r.bytes,
		&r.Service, &r.Name, &services, &r.OrderID, &r.GID, &flags)
	if err != nil {
		return nil, err
	}
	copy(r.Trace[:], id)
	if services != "" {
		r.Services = strings.Split(services, "\n")
	}
	r.Rooted, r.Truncated, r.Skewed = flags&flagRooted != 0, flags&flagTruncated != 0, flags&flagSkewed != 0
	r.Trusted = flags&flagTrusted != 0 || !r.Skewed // as it was before there was the flag
	return r, nil
}
