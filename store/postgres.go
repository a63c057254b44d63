package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gowarren/warren/internal/openurl"
)

const (
	connectTimeout   = 5 * time.Second
	postgresPrepared = 256
	cancelGrace      = time.Second
)

// postgresParams are handed on to the driver: how to reach the server, and what
// sessions may be set to.
var postgresParams = []string{
	"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "target_session_attrs", "connect_timeout",
	"application_name", "search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
	"synchronous_commit", "default_query_exec_mode",
}

// openPostgres reads postgres://. The driver keeps prepared statements by itself
// and notices when a migration has made one stale.
func openPostgres(u *url.URL, name string) (*engine, error) {
	p := openurl.NewParams(u)
	handed := url.Values{}
	for _, param := range postgresParams {
		if value := p.String(param, ""); value != "" {
			handed.Set(param, value)
		}
	}
	maxOpen := p.Int("max_open", 0)
	if err := p.Err(); err != nil {
		return nil, err
	}
	if u.Host == "" && !handed.Has("host") {
		return nil, errors.New("the URL names no host, as in postgres://host/shop")
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("the URL names no database, as in postgres://host/shop")
	}
	clean := *u
	clean.RawQuery = handed.Encode()
	config, err := pgx.ParseConfig(clean.String())
	if err != nil {
		return nil, errors.New(withoutURL(err))
	}
	if config.ConnectTimeout == 0 || !handed.Has("connect_timeout") {
		config.ConnectTimeout = connectTimeout
	}
	config.DialFunc = dialer().DialContext
	config.StatementCacheCapacity = postgresPrepared
	// A cancelled query is cancelled on the server too, and the connection lives.
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelGrace}
	}
	defaults := map[string]string{"application_name": "warren " + name, "timezone": "UTC"}
	maps.Copy(defaults, config.RuntimeParams)
	config.RuntimeParams = defaults
	return &engine{
		dialect: PostgreSQL,
		place:   placeOf(PostgreSQL, config.Database, config.Host, int(config.Port)),
		write: stdlib.GetConnector(*config, stdlib.OptionResetSession(func(_ context.Context, c *pgx.Conn) error {
			if hungUp(c.PgConn().Conn()) {
				return driver.ErrBadConn
			}
			return nil
		})),
		maxOpen:  maxOpen,
		fault:    postgresFault,
		twoPhase: postgresTwoPhase(config.Database),
	}, nil
}

// withoutURL is the driver's complaint without the URL, which has the password.
func withoutURL(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return "malformed parameters"
}

func postgresFault(err error) fault {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return faultAway
	}
	coded, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if errors.Is(err, pgx.ErrTxCommitRollback) {
			return faultOther
		}
		if strings.Contains(err.Error(), "conn closed") || pgconn.SafeToRetry(err) {
			return faultLost
		}
		return faultOther
	}
	switch coded.Code {
	case "23505":
		return faultConflict
	case "23503", "23001":
		return faultReference
	case "40001", "40P01":
		return faultContention
	case "55P03":
		return faultBusy
	case "57P01", "57P02", "57P05", "25P03": // ended by the administrator, crash, idle too long
		return faultLost
	case "57P03", "53300": // starting or stopping, too many connections
		return faultAway
	}
	switch {
	case strings.HasPrefix(coded.Code, "08"):
		return faultLost
	case strings.Contains(coded.Message, "cached plan must not change"):
		return faultContention // a migration changed the table; the driver prepares anew
	}
	return faultOther
}

// constraintName is what a unique key is called, for the error's text.
func constraintName(err error) string {
	if coded, ok := errors.AsType[*pgconn.PgError](err); ok {
		return ": " + coded.ConstraintName
	}
	if name := mysqlKeyName(err); name != "" {
		return ": " + name
	}
	if _, columns, ok := strings.Cut(err.Error(), "UNIQUE constraint failed: "); ok {
		columns, _, _ = strings.Cut(columns, " (")
		return ": " + columns
	}
	return ""
}
