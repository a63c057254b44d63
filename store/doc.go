// Package store is a service's database: SQLite, PostgreSQL, MySQL or MariaDB
// behind one handle, chosen by URL, with SQL that is written once.
package store
