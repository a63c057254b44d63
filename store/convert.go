package store

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strconv"
	"time"
)

// toDatabase turns arguments into the few types that every database takes:
// int64, float64, bool, []byte, string and nil; PostgreSQL takes arrays too. Times become microseconds since
// 1970, as no two databases agree on what a timestamp is.
func toDatabase(args []any) ([]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	out := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case nil, int64, string, bool, float64:
			out[i] = v
		case int:
			out[i] = int64(v)
		case time.Time:
			out[i] = v.UnixMicro()
		case []string, []int64, [][]byte:
			out[i] = v // an array, which PostgreSQL's driver takes and the others refuse
		default:
			value, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return nil, fmt.Errorf("argument %d: %w", i+1, err)
			}
			if at, ok := value.(time.Time); ok {
				value = at.UnixMicro()
			}
			out[i] = value
		}
	}
	return out, nil
}

// fromDatabase wraps the destinations that are times.
func fromDatabase(dest []any) []any {
	out := dest
	for i, d := range dest {
		var into func(time.Time, bool) error
		switch d := d.(type) {
		case *time.Time:
			into = func(at time.Time, ok bool) error {
				if !ok {
					return fmt.Errorf("column %d is NULL: scan it into a *time.Time or sql.Null[time.Time]", i+1)
				}
				*d = at
				return nil
			}
		case **time.Time:
			into = func(at time.Time, ok bool) error {
				*d = nil
				if ok {
					*d = &at
				}
				return nil
			}
		case *sql.NullTime:
			into = func(at time.Time, ok bool) error { *d = sql.NullTime{Time: at, Valid: ok}; return nil }
		case *sql.Null[time.Time]:
			into = func(at time.Time, ok bool) error { *d = sql.Null[time.Time]{V: at, Valid: ok}; return nil }
		default:
			continue
		}
		if &out[0] == &dest[0] {
			out = append([]any(nil), dest...) // the caller's slice stays as it is
		}
		out[i] = scanner(into)
	}
	return out
}

// scanner reads a time out of microseconds, or out of a column that is a time.
type scanner func(at time.Time, ok bool) error

func (s scanner) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		return s(time.Time{}, false)
	case int64:
		return s(time.UnixMicro(src).UTC(), true)
	case time.Time:
		return s(src.UTC(), true)
	case []byte:
		return s.text(string(src))
	case string:
		return s.text(src)
	default:
		return fmt.Errorf("a time can't be read from %T", src)
	}
}

func (s scanner) text(digits string) error {
	micros, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return fmt.Errorf("a time can't be read from text: %w", err)
	}
	return s(time.UnixMicro(micros).UTC(), true)
}
