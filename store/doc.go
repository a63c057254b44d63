// Package store is a service's database: SQLite, PostgreSQL, MySQL or MariaDB
// behind one handle, chosen by URL, with SQL that is written once.
//
// # URLs
//
//	sqlite:data/shop.db                a file; relative, or absolute as in sqlite:/var/lib/shop.db
//	postgres://user:password@host/shop
//	mysql://user:password@host/shop    MySQL 8 or MariaDB 10.6 and later
//
// All take max_open, the most connections. SQLite takes synchronous (off, normal,
// full or extra; default full: a committed transaction survives a power cut; with
// normal the last ones may not, for several times the speed) and busy_timeout (how long to
// wait for another process that writes; default 10s). PostgreSQL takes the usual
// sslmode, sslrootcert, sslcert, sslkey, target_session_attrs, connect_timeout,
// host (for a socket), application_name, search_path, statement_timeout,
// lock_timeout, idle_in_transaction_session_timeout, synchronous_commit and
// default_query_exec_mode. MySQL takes tls (false, true, skip-verify), socket,
// connect_timeout, read_timeout and write_timeout.
//
// # SQL that runs on all
//
// Arguments stand as ?, wherever the database has it otherwise. Names are quoted
// as "order", text as 'text' with a quote in it doubled, and || joins texts.
// Comparing text, unique keys and LIKE look at every byte. ON CONFLICT … DO
// NOTHING and DO UPDATE SET x = excluded.x work everywhere for one row, and so
// does FOR UPDATE. An UPDATE counts the rows that it found.
//
// The types are BIGINT, DOUBLE PRECISION, BOOLEAN, VARCHAR(n), and in migrations
// TEXT and BLOB, in capitals, without a bound. A time is a BIGINT of microseconds
// since 1970: arguments and destinations of type time.Time are translated. Ids are
// made by the program.
//
// docs/store.md says what is left out, and why.
//
// # Transactions
//
// [DB.InTx] runs a function in a transaction, and runs it again when the database
// asks for it. Transactions are READ COMMITTED on the servers, so that what is
// read to be changed is read FOR UPDATE, and can be [Serializable]. On SQLite, one
// transaction that writes runs at a time, in all processes.
package store
