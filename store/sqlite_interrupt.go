package store

import (
	"context"
	"database/sql/driver"
	"reflect"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteInterruptEvery is the pause between two interrupts of what does not end.
const sqliteInterruptEvery = 10 * time.Millisecond

// sqliteInterrupter returns a function that interrupts what runs on a
// connection. The driver does so once, when a context ends; but SQLite forgets
// an interrupt that arrives just before a statement's first step, and a query
// without end would then have none. The handle is not exported by the driver;
// without it, nil, its single interrupt has to do.
func sqliteInterrupter(raw driver.Conn) func() {
	db := reflect.Indirect(reflect.ValueOf(raw)).FieldByName("db")
	if db.Kind() != reflect.Uintptr {
		return nil
	}
	handle := uintptr(db.Uint())
	return func() {
		tls := libc.NewTLS() // not the connection's, on which the query runs
		defer tls.Close()
		sqlite3.Xsqlite3_interrupt(tls, handle)
	}
}

// guard interrupts what runs on the connection again and again from the end of
// the context on, until release is called. Release waits for the last
// interrupt, so that none hits what runs next.
func (c *conn) guard(ctx context.Context) (release func()) {
	if c.interrupt == nil || ctx.Done() == nil {
		return func() {}
	}
	released, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		ticker := time.NewTicker(sqliteInterruptEvery)
		defer ticker.Stop()
		for {
			select {
			case <-released:
				return
			case <-ticker.C:
				c.interrupt()
			}
		}
	})
	return func() {
		close(released)
		if !stop() {
			<-ended
		}
	}
}
