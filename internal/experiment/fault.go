package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/fault"
	"github.com/gowarren/warren/internal/spelled"
)

const (
	mostDelay    = 10 * time.Minute
	defaultEvery = 30 * time.Second
	leastEvery   = time.Second
	mostEvery    = time.Hour
	// mostReason is less than the history of settings takes, with an author.
	mostReason = 2000
	mostName   = 63
)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// check tells what is wrong with what is asked for, and how long it lasts. What
// is wrong begins with the field, as flags, files and the console call it.
func (r *Runner) check(req *observev1.ExperimentServiceStartRequest) (time.Duration, error) {
	most := r.limits.most.Get()
	duration := min(r.limits.duration.Get(), most)
	if req.GetDuration() != nil {
		duration = req.GetDuration().AsDuration()
	}
	if duration <= 0 || duration > most {
		return 0, fmt.Errorf("for: want more than 0 and at most %s, as the setting experiment.duration.max says; got %s",
			spelled.Duration(most), spelled.Duration(duration))
	}
	if name := req.GetName(); name != "" && (len(name) > mostName || !nameForm.MatchString(name)) {
		return 0, fmt.Errorf("name: want lower-case letters, digits and -, a letter first, at most %d of them; got %q", mostName, name)
	}
	if err := checkReason(req.GetReason()); err != nil && (req.GetReason() != "" || !req.GetDryRun()) {
		return 0, err
	}
	return duration, checkFault(req.GetFault())
}

func checkReason(reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return errors.New("reason: say why: it is kept with the experiment")
	case len(reason) > mostReason:
		return fmt.Errorf("reason: want at most %d bytes; got %d", mostReason, len(reason))
	}
	return nil
}

func checkFault(f *observev1.Fault) error {
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		delay, jitter := f.Latency.GetDelay().AsDuration(), f.Latency.GetJitter().AsDuration()
		if delay <= 0 || delay > mostDelay {
			return fmt.Errorf("delay: want more than 0 and at most %s, such as 300ms or 2s; got %s", spelled.Duration(mostDelay), spelled.Duration(delay))
		}
		if jitter < 0 || jitter > mostDelay {
			return fmt.Errorf("jitter: want 0 to %s, such as 200ms; got %s", spelled.Duration(mostDelay), spelled.Duration(jitter))
		}
		return checkShare(f.Latency.GetShare())
	case *observev1.Fault_Error:
		if _, err := code(f.Error); err != nil {
			return fmt.Errorf("code: want the name of an error, such as UNAVAILABLE, INTERNAL or DEADLINE_EXCEEDED; got %q", f.Error.GetCode())
		}
		return checkShare(f.Error.GetShare())
	case *observev1.Fault_Kill:
		if every := f.Kill.GetEvery().AsDuration(); f.Kill.GetEvery() != nil && (every < leastEvery || every > mostEvery) {
			return fmt.Errorf("every: want %s to %s; got %s", spelled.Duration(leastEvery), spelled.Duration(mostEvery), spelled.Duration(every))
		}
		return nil
	case *observev1.Fault_Partition:
		if f.Partition.GetFrom() == f.Partition.GetTo() {
			return fmt.Errorf("to: want another service than the one that calls; got %q for both", f.Partition.GetTo())
		}
		return nil
	}
	return errors.New("fault: want one of latency, error, kill and partition")
}

func checkShare(s float64) error {
	if s >= 0 && s <= 1 {
		return nil
	}
	return fmt.Errorf("share: want more than 0 and at most 1, which is every call; got %v", max(s, 0))
}

func code(e *observev1.ErrorFault) (codes.Code, error) {
	return fault.ParseCode(cmp.Or(e.GetCode(), "UNAVAILABLE"))
}

// setting is where the fault of an experiment is written; killing is written
// nowhere.
func setting(e *observev1.Experiment) (name string, scope config.Scope, _ fault.Fault, ok bool) {
	out := fault.Fault{Experiment: e.GetName(), Until: e.GetEnds().AsTime(), Share: 1}
	switch f := e.GetFault().GetKind().(type) {
	case *observev1.Fault_Latency:
		out.Delay, out.Jitter = f.Latency.GetDelay().AsDuration(), f.Latency.GetJitter().AsDuration()
		out.Share = cmp.Or(f.Latency.GetShare(), 1)
		return "rpc.fault.latency", config.Scope{Service: f.Latency.GetService(), Method: slashed(f.Latency.GetMethod())}, out, true
	case *observev1.Fault_Error:
		out.Code, _ = code(f.Error) // it was checked
		out.Share = cmp.Or(f.Error.GetShare(), 1)
		return "rpc.fault.error", config.Scope{Service: f.Error.GetService(), Method: slashed(f.Error.GetMethod())}, out, true
	case *observev1.Fault_Partition:
		out.To = f.Partition.GetTo()
		return "rpc.fault.partition", config.Scope{Service: f.Partition.GetFrom()}, out, true
	}
	return "", config.Scope{}, fault.Fault{}, false
}

// slashed is a method's full name, whether it was written with its slash or not.
func slashed(method string) string {
	if method == "" || method[0] == '/' {
		return method
	}
	return "/" + method
}

// killing tells when to kill; never, if the fault is another.
func killing(f *observev1.Fault) (ticks <-chan time.Time, stop func()) {
	if f.GetKill() == nil {
		return nil, func() {}
	}
	ticker := time.NewTicker(cmp.Or(f.GetKill().GetEvery().AsDuration(), defaultEvery))
	return ticker.C, ticker.Stop
}

// defaultName is that of an experiment which was given none.
func defaultName(f *observev1.Fault) string {
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		return "latency-" + f.Latency.GetService()
	case *observev1.Fault_Error:
		return "error-" + f.Error.GetService()
	case *observev1.Fault_Kill:
		return "kill-" + f.Kill.GetService()
	case *observev1.Fault_Partition:
		return "partition-" + f.Partition.GetFrom() + "-" + f.Partition.GetTo()
	}
	return "experiment"
}

// Describe tells a fault in a line.
func Describe(f *observev1.Fault) string {
	of := func(service, method string, share float64) string {
		out := service
		if method != "" {
			out = strings.TrimPrefix(method, "/") + " of " + service
		}
		if share > 0 && share < 1 {
			const hundred = 100
			out += fmt.Sprintf(", %.4g %% of the calls", hundred*share)
		}
		return out
	}
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		delay := f.Latency.GetDelay().AsDuration().String()
		if jitter := f.Latency.GetJitter().AsDuration(); jitter > 0 {
			delay += " ± " + jitter.String()
		}
		return "latency of " + delay + " at " + of(f.Latency.GetService(), f.Latency.GetMethod(), f.Latency.GetShare())
	case *observev1.Fault_Error:
		name := cmp.Or(strings.ToUpper(f.Error.GetCode()), "UNAVAILABLE")
		return "error " + name + " from " + of(f.Error.GetService(), f.Error.GetMethod(), f.Error.GetShare())
	case *observev1.Fault_Kill:
		return "an instance of " + f.Kill.GetService() + " killed every " + cmp.Or(f.Kill.GetEvery().AsDuration(), defaultEvery).String()
	case *observev1.Fault_Partition:
		return "partition from " + f.Partition.GetFrom() + " to " + f.Partition.GetTo()
	}
	return "nothing"
}
