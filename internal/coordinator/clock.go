package coordinator

import (
	"context"
	"time"

	"github.com/gowarren/warren/store"
)

// clock tells microseconds since 1970: the database server's, read once, and from
// then on by a clock that nobody sets. So coordinators agree however wrong the
// clocks of their hosts are, and a clock that is set ends no transaction.
type clock struct {
	base  int64
	began time.Time
}

func (c *clock) start(ctx context.Context, db *store.DB) error {
	c.base, c.began = time.Now().UnixMicro(), time.Now()
	var query string
	switch db.Dialect() {
	case store.PostgreSQL:
		query = `SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	case store.MySQL:
		query = `SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)`
	default:
		return nil // the file has no clock of its own
	}
	err := db.QueryRow(ctx, query).Scan(&c.base)
	c.began = time.Now()
	return err
}

func (c *clock) now() int64 { return c.base + time.Since(c.began).Microseconds() }

// until is how long it is to a moment.
func (c *clock) until(at int64) time.Duration { return time.Duration(at-c.now()) * time.Microsecond }

// wall is a moment as the host's clock has it now. It is for others, who compare it
// with their own: ours stands still while the host sleeps, and nobody sets it.
func (c *clock) wall(at int64) time.Time { return time.Now().Add(c.until(at)) }
