package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// connector opens connections that keep their prepared statements. It serves the
// drivers that prepare anew for each query; PostgreSQL's keeps its own.
type connector struct {
	open func(context.Context) (driver.Conn, error)
	// setup is run on each new connection.
	setup []string
	// prepared bounds the statements kept per connection.
	prepared int
	// remote: the other end is a server.
	remote bool
	// patience, when set, runs what may find the database locked.
	patience func(ctx context.Context, do func() error) error
	// interrupter, when set, returns what ends a query for good.
	interrupter func(raw driver.Conn) func()
}

var _ driver.Connector = (*connector)(nil)

// Driver is asked by nobody: the pools are made of connectors.
func (c *connector) Driver() driver.Driver { return nil }

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := raw.(fullConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver's connection %T is too old", raw), raw.Close())
	}
	conn := &conn{fullConn: full, owner: c, kept: newKeptStatements(c.prepared)}
	if c.interrupter != nil {
		conn.interrupt = c.interrupter(raw)
	}
	for _, statement := range c.setup {
		err := conn.patiently(ctx, func() error {
			_, err := full.ExecContext(ctx, statement, nil)
			return err
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("set up connection: %s: %w", statement, err), raw.Close())
		}
	}
	return conn, nil
}

// fullConn is what both drivers' connections can do.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn runs queries through statements that it prepared before.
type conn struct {
	fullConn
	owner     *connector
	kept      *keptStatements
	interrupt func() // ends what runs on the connection; nil: a context does
}

func (c *conn) patiently(ctx context.Context, do func() error) error {
	defer c.guard(ctx)()
	if c.owner.patience == nil {
		return do()
	}
	return c.owner.patience(ctx, do)
}

// CheckNamedValue lets the driver see the arguments as they are; toDatabase has
// made them simple already.
func (c *conn) CheckNamedValue(*driver.NamedValue) error { return nil }

// BeginTx implements [driver.ConnBeginTx].
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	err = c.patiently(ctx, func() error {
		tx, err = c.fullConn.BeginTx(ctx, opts)
		return err
	})
	return tx, err
}

// scriptKey marks the context of what is not to be prepared, or can't be: a
// migration, many statements in one text, run once; statements of XA.
type scriptKey struct{}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	if ctx.Value(scriptKey{}) != nil {
		return c.fullConn.ExecContext(ctx, query, args)
	}
	err = c.patiently(ctx, func() error {
		s, err := c.take(ctx, query)
		if err != nil {
			return err
		}
		result, err = s.ExecContext(ctx, args)
		return errors.Join(err, c.giveBack(s, err == nil))
	})
	return result, err
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	if ctx.Value(scriptKey{}) != nil {
		return c.fullConn.QueryContext(ctx, query, args)
	}
	err = c.patiently(ctx, func() error {
		s, err := c.take(ctx, query)
		if err != nil {
			return err
		}
		inner, err := s.QueryContext(ctx, args)
		if err != nil {
			return errors.Join(err, c.giveBack(s, err == nil))
		}
		rows = &keptRows{Rows: inner, conn: c, statement: s}
		return nil
	})
	return rows, err
}

// take returns a prepared statement that nobody else uses: it leaves the kept
// ones until it is given back, so the same query can run inside of itself.
func (c *conn) take(ctx context.Context, query string) (*keptStatement, error) {
	if s := c.kept.take(query); s != nil {
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	full, ok := prepared.(fullStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver's statement %T is too old", prepared), prepared.Close())
	}
	return &keptStatement{fullStmt: full, query: query}, nil
}

// giveBack keeps the statement for the next time, unless it just went wrong.
func (c *conn) giveBack(s *keptStatement, sound bool) error {
	if !sound {
		_ = s.Close() // what went wrong before is the one to know
		return nil
	}
	if evicted := c.kept.put(s); evicted != nil {
		return evicted.Close()
	}
	return nil
}

// Close implements [driver.Conn].
func (c *conn) Close() error {
	for _, s := range c.kept.all() {
		_ = s.Close() // the connection takes them along in any case
	}
	err := c.fullConn.Close()
	if c.owner.remote {
		return nil // it could only say that the server went first
	}
	return err
}

// keptRows give their statement back when they are closed.
type keptRows struct {
	driver.Rows
	conn      *conn
	statement *keptStatement
}

// Next implements [driver.Rows].
func (r *keptRows) Next(dest []driver.Value) error {
	if err := r.Rows.Next(dest); err != nil {
		return err // io.EOF is compared, so it stays bare
	}
	for i, v := range dest {
		if b, ok := v.([]byte); ok && b == nil {
			dest[i] = []byte{} // no bytes, which isn't NULL; SQLite's driver mixes them up
		}
	}
	return nil
}

// Close implements [driver.Rows].
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	if r.statement == nil {
		return err
	}
	s := r.statement
	r.statement = nil
	return errors.Join(err, r.conn.giveBack(s, err == nil))
}
