package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// runner is what *sql.DB, *sql.Tx and *sql.Conn have in common.
type runner interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// readAttempts bounds how often a query outside of a transaction is tried: once
// more per connection that the pool believed in and the server had closed.
const readAttempts = 4

// Query reads rows. It must not write: SQLite refuses it, and on the others a
// query whose connection broke is sent again. The rows must be closed.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	around, err := db.around(ctx, false)
	if err != nil {
		return nil, err
	}
	if around != nil {
		return around.Query(ctx, query, args...)
	}
	var rows *Rows
	err = db.repeat(ctx, readAttempts, func(f fault) bool { return f == faultLost || f == faultContention }, func() (err error) {
		rows, err = db.query(ctx, db.read, query, args)
		return err
	})
	return rows, err
}

// QueryRow reads one row; what went wrong is told by its Scan.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *Row {
	rows, err := db.Query(ctx, query, args...)
	return &Row{rows: rows, err: err}
}

// Exec runs a statement that writes, as a transaction of its own, and returns
// how many rows it touched.
func (db *DB) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	around, err := db.around(ctx, true)
	if err != nil {
		return 0, err
	}
	if around != nil {
		return around.Exec(ctx, query, args...)
	}
	var touched int64
	// A broken connection leaves open whether the statement was run: no repeat.
	err = db.repeat(ctx, maxAttempts, func(f fault) bool { return f == faultContention }, func() (err error) {
		touched, err = db.exec(ctx, db.write, query, args)
		return err
	})
	return touched, err
}

func (db *DB) query(ctx context.Context, on runner, query string, args []any) (*Rows, error) {
	s, err := db.texts.get(query, db.metrics)
	if err != nil {
		return nil, err
	}
	values, err := s.values(args)
	if err != nil {
		return nil, err
	}
	call := db.startCall(ctx, s)
	rows, err := on.QueryContext(call.ctx, s.text, values...)
	if err != nil {
		return nil, call.end(err)
	}
	return &Rows{rows: rows, call: call}, nil
}

func (db *DB) exec(ctx context.Context, on runner, query string, args []any) (int64, error) {
	s, err := db.texts.get(query, db.metrics)
	if err != nil {
		return 0, err
	}
	values, err := s.values(args)
	if err != nil {
		return 0, err
	}
	call := db.startCall(ctx, s)
	result, err := on.ExecContext(call.ctx, s.text, values...)
	if err != nil {
		if s.absorb && db.faultOf(err) == faultConflict {
			return 0, call.end(nil)
		}
		return 0, call.end(err)
	}
	if err := call.end(nil); err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// call is one statement on its way: its span, its timing.
type call struct {
	db        *DB
	ctx       context.Context
	statement *statement
	span      span
	started   time.Time
	tx        *Tx // nil outside of a transaction
	ended     bool
}

func (db *DB) startCall(ctx context.Context, s *statement) *call {
	c := &call{db: db, statement: s, started: time.Now()}
	c.ctx, c.span = db.startSpan(ctx, s)
	return c
}

// end settles the statement, once, and returns err as callers know it.
func (c *call) end(err error) error {
	if c.ended {
		return err
	}
	c.ended = true
	took := time.Since(c.started)
	err = c.db.explain(c.ctx, err)
	if err != nil {
		err = fmt.Errorf("%s: %w", c.statement.summary(), err)
	}
	c.statement.timing.observe(took, c.db.errorType(err))
	c.db.endSpan(c.span, c.statement, err)
	if limit := c.db.opts.SlowQuery; limit > 0 && took >= limit {
		c.db.opts.Logger.WarnContext(c.ctx, "slow query", "database", c.db.name,
			"statement", shortened(c.statement.text), "duration", took, "error", err)
	}
	return err
}

func shortened(text string) string {
	const enough = 2000
	if len(text) <= enough {
		return text
	}
	return text[:enough] + "…"
}

// Rows are the answer to a query, read one by one:
//
//	for rows.Next() {
//		if err := rows.Scan(&sku, &price); err != nil { … }
//	}
//	if err := rows.Err(); err != nil { … }
type Rows struct {
	rows *sql.Rows
	call *call
	err  error
}

// Next goes to the next row. When there is none it closes the rows and returns
// false.
func (r *Rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.settle()
	return false
}

// Scan copies the columns of the row into dest. Besides what database/sql takes,
// a time.Time takes an integer column of microseconds.
func (r *Rows) Scan(dest ...any) error {
	if err := r.rows.Scan(fromDatabase(dest)...); err != nil {
		return fmt.Errorf("%s: %w", r.call.statement.summary(), err)
	}
	return nil
}

// Err returns what ended the rows early, if anything did.
func (r *Rows) Err() error { return r.err }

// Columns returns the names of the columns.
func (r *Rows) Columns() ([]string, error) { return r.rows.Columns() }

// Close ends the query. It may be called more than once.
func (r *Rows) Close() error {
	err := r.rows.Close()
	r.settle()
	return err
}

func (r *Rows) settle() {
	if tx := r.call.tx; tx != nil {
		tx.mu.Lock()
		defer tx.mu.Unlock()
	}
	if r.call.ended {
		return
	}
	r.err = r.call.end(r.rows.Err())
	if r.call.tx != nil {
		r.call.tx.keep(r.err)
	}
}

// Row is the answer to QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the columns of the row into dest; see [Rows.Scan]. Its error is
// [ErrNoRows] when there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer func() { _ = r.rows.Close() }()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	_ = r.rows.Close()
	return r.rows.Err()
}
