package store

import (
	"errors"
	"strings"
	"testing"
)

// Servers that can't keep a prepared transaction are refused with what to do.
func TestCanPrepare(t *testing.T) {
	for version, able := range map[string]bool{
		"8.0.30": true, "8.4.0": true, "9.1.0-commercial": true, "8.0.29-debug": false, "5.7.44": false,
		"10.11.6-MariaDB-0+deb12u1": true, "11.8.2-MariaDB": true, "10.5.1-MariaDB": false,
		"5.5.5-10.6.12-MariaDB-log": true, "5.5.5-10.4.1-MariaDB": false, "eight": false,
	} {
		err := mysqlAble(version)
		if (err == nil) != able || err != nil && !errors.Is(err, ErrCannotPrepare) {
			t.Errorf("%s: %v", version, err)
		}
	}
	if err := postgresAble(64); err != nil {
		t.Error(err)
	}
	if err := postgresAble(0); !errors.Is(err, ErrCannotPrepare) || !strings.Contains(err.Error(), "max_prepared_transactions") {
		t.Errorf("PostgreSQL without prepared transactions: %v", err)
	}
}
