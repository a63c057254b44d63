package store

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/gowarren/warren/internal/openurl"
)

// mysqlPrepared is smaller than the others: the server counts the statements of
// all its clients, and refuses more than 16,382.
const mysqlPrepared = 64

// mysqlSetup makes a session mean by SQL what the other databases mean: "x" is a
// name, || joins texts, a backslash is a backslash, what doesn't fit is refused.
var mysqlSetup = []string{
	"SET NAMES utf8mb4 COLLATE utf8mb4_bin",
	"SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,ONLY_FULL_GROUP_BY," +
		"STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', " +
		"time_zone = '+00:00', innodb_lock_wait_timeout = 10",
	"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
}

// openMySQL reads mysql://, which the driver knows only in a form of its own.
func openMySQL(_ context.Context, u *url.URL) (*engine, error) {
	p := openurl.NewParams(u)
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", u.Host
	if u.Port() == "" {
		config.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	if socket := p.String("socket", ""); socket != "" {
		config.Net, config.Addr = "unix", socket
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.Trim(u.Path, "/")
	config.Timeout = p.Duration("connect_timeout", connectTimeout)
	config.DialFunc = dialer().DialContext
	config.ReadTimeout = p.Duration("read_timeout", 0)
	config.WriteTimeout = p.Duration("write_timeout", 0)
	var err error
	if config.TLS, err = mysqlTLS(p.String("tls", "false"), u.Hostname()); err != nil {
		return nil, err
	}
	maxOpen := p.Int("max_open", 0)
	if err := p.Err(); err != nil {
		return nil, err
	}
	if u.Host == "" && config.Net == "tcp" {
		return nil, errors.New("the URL names no host, as in mysql://host/shop")
	}
	if config.DBName == "" {
		return nil, errors.New("the URL names no database, as in mysql://host/shop")
	}
	config.ClientFoundRows = true // an UPDATE counts the rows it found, as elsewhere
	config.Logger = &mysql.NopLogger{}
	inner, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return &engine{
		dialect: MySQL,
		place:   mysqlPlace(config),
		write: &connector{
			open:     func(ctx context.Context) (driver.Conn, error) { return inner.Connect(ctx) },
			setup:    mysqlSetup,
			prepared: mysqlPrepared,
			remote:   true,
		},
		maxOpen:  maxOpen,
		fault:    mysqlFault,
		twoPhase: mysqlTwoPhase(config.DBName),
	}, nil
}

func mysqlTLS(mode, host string) (*tls.Config, error) {
	switch mode {
	case "false":
		return nil, nil
	case "true":
		return &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}, nil
	case "skip-verify":
		return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, nil //nolint:gosec // as the URL asks
	default:
		return nil, errors.New(`parameter "tls" is true, false or skip-verify`)
	}
}

func mysqlFault(err error) fault {
	if errors.Is(err, mysql.ErrInvalidConn) {
		return faultLost
	}
	coded, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return faultOther
	}
	switch coded.Number {
	case 1062, 1586:
		return faultConflict
	case 1216, 1217, 1451, 1452:
		return faultReference
	case 1213, 1020: // deadlock, record changed since it was read
		return faultContention
	case 1205, 3572: // lock wait timeout, NOWAIT
		return faultBusy
	case 1053, 1927, 1317: // shutdown in progress, connection killed, query interrupted by a kill
		return faultLost
	case 1040, 1044, 1045, 1049, 1130, 1203: // too many connections, access, unknown database, host
		return faultAway
	}
	return faultOther
}

// mysqlKeyName cuts the key's name out of "Duplicate entry 'value' for key 'name'".
func mysqlKeyName(err error) string {
	coded, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return ""
	}
	if i := strings.LastIndex(coded.Message, "for key "); i >= 0 {
		return strings.Trim(coded.Message[i+len("for key "):], "'")
	}
	return ""
}
