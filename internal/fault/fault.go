// Package fault is how the faults of experiments are written into settings, by
// whoever runs an experiment, and read by the processes that it hits.
//
// A value says itself when it ends, so that a fault ends in time even where
// nobody is left to take it back.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
)

// Most is how far ahead the end of a fault may lie. A value with a later one is
// a mistake.
const Most = 24 * time.Hour

// Fault is one fault that is in force until its end.
type Fault struct {
	Experiment string
	Until      time.Time
	Share      float64       // of the calls that are hit
	Delay      time.Duration // of latency
	Jitter     time.Duration
	Code       codes.Code // of an error
	To         string     // the service that a partition cuts off
}

// Over reports whether the fault has ended, or says that it won't in time.
func (f Fault) Over(now time.Time) bool { return !now.Before(f.Until) || f.Until.Sub(now) > Most }

// Format writes faults as the value of a setting; "" is none.
func Format(all []Fault) string {
	var out []string
	for _, f := range all {
		parts := []string{"experiment=" + f.Experiment, "until=" + f.Until.UTC().Format(time.RFC3339Nano)}
		if f.Share != 1 {
			parts = append(parts, "share="+strconv.FormatFloat(f.Share, 'g', -1, 64))
		}
		if f.Delay > 0 {
			parts = append(parts, "delay="+f.Delay.String())
		}
		if f.Jitter > 0 {
			parts = append(parts, "jitter="+f.Jitter.String())
		}
		if f.Code != codes.OK {
			parts = append(parts, "code="+CodeName(f.Code))
		}
		if f.To != "" {
			parts = append(parts, "to="+f.To)
		}
		out = append(out, strings.Join(parts, " "))
	}
	return strings.Join(out, "; ")
}

// Parse reads what Format has written.
func Parse(raw string) ([]Fault, error) {
	var all []Fault
	for one := range strings.SplitSeq(raw, ";") {
		fields := strings.Fields(one)
		if len(fields) == 0 {
			continue
		}
		f := Fault{Share: 1}
		for _, field := range fields {
			key, value, _ := strings.Cut(field, "=")
			if err := f.set(key, value); err != nil {
				return nil, fmt.Errorf("read fault: %s: %w", field, err)
			}
		}
		if f.Until.IsZero() {
			return nil, fmt.Errorf("read fault %q: until is missing: a fault must say when it ends", strings.TrimSpace(one))
		}
		all = append(all, f)
	}
	return all, nil
}

func (f *Fault) set(key, value string) (err error) {
	switch key {
	case "experiment":
		f.Experiment = value
	case "until":
		f.Until, err = time.Parse(time.RFC3339Nano, value)
	case "share":
		if f.Share, err = strconv.ParseFloat(value, 64); err == nil && !(f.Share >= 0 && f.Share <= 1) {
			err = errors.New("a share is between 0 and 1")
		}
	case "delay":
		f.Delay, err = duration(value)
	case "jitter":
		f.Jitter, err = duration(value)
	case "code":
		f.Code, err = ParseCode(value)
	case "to":
		f.To = value
	default:
		err = fmt.Errorf("there is no %q; there are experiment, until, share, delay, jitter, code and to", key)
	}
	return err
}

func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && (d < 0 || d > Most) {
		err = errors.New("a time span is between 0 and a day")
	}
	return d, err
}

// names are the canonical codes that a call can fail with.
var names = map[string]codes.Code{
	"CANCELLED": codes.Canceled, "UNKNOWN": codes.Unknown, "INVALID_ARGUMENT": codes.InvalidArgument,
	"DEADLINE_EXCEEDED": codes.DeadlineExceeded, "NOT_FOUND": codes.NotFound, "ALREADY_EXISTS": codes.AlreadyExists,
	"PERMISSION_DENIED": codes.PermissionDenied, "RESOURCE_EXHAUSTED": codes.ResourceExhausted,
	"FAILED_PRECONDITION": codes.FailedPrecondition, "ABORTED": codes.Aborted, "OUT_OF_RANGE": codes.OutOfRange,
	"UNIMPLEMENTED": codes.Unimplemented, "INTERNAL": codes.Internal, "UNAVAILABLE": codes.Unavailable,
	"DATA_LOSS": codes.DataLoss, "UNAUTHENTICATED": codes.Unauthenticated,
}

// ParseCode reads the canonical name of a code that a call can fail with.
func ParseCode(name string) (codes.Code, error) {
	if code, ok := names[strings.ToUpper(name)]; ok {
		return code, nil
	}
	return 0, fmt.Errorf("%q is no code of a failure; for instance UNAVAILABLE, INTERNAL, DEADLINE_EXCEEDED", name)
}

// CodeName is the canonical name of a code.
func CodeName(code codes.Code) string {
	for name, c := range names {
		if c == code {
			return name
		}
	}
	return "OK"
}

// Without returns the faults of other experiments that are not over.
func Without(all []Fault, experiment string, now time.Time) []Fault {
	return slices.DeleteFunc(slices.Clone(all), func(f Fault) bool { return f.Experiment == experiment || f.Over(now) })
}
