package experiment

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/fault"
)

const (
	mostDelay    = 10 * time.Minute
	defaultEvery = 30 * time.Second
	leastEvery   = time.Second
	mostReason   = 1024
)

// check tells what is wrong with what is asked for, and how long it lasts.
func (r *Runner) check(req *observev1.ExperimentServiceStartRequest) (time.Duration, error) {
	duration := req.GetDuration().AsDuration()
	if duration == 0 {
		duration = min(r.limits.duration.Get(), r.limits.most.Get())
	}
	switch most := r.limits.most.Get(); {
	case duration < 0:
		return 0, errors.New("an experiment lasts for a time")
	case duration > most:
		return 0, fmt.Errorf("an experiment of %s: experiment.duration.max allows %s", duration, most)
	case req.GetReason() == "" && !req.GetDryRun():
		return 0, errors.New("an experiment needs a reason: it is written down with it")
	case len(req.GetReason()) > mostReason:
		return 0, fmt.Errorf("a reason may have %d bytes", mostReason)
	case strings.Trim(req.GetName(), "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return 0, fmt.Errorf("experiment %q: a name is lower-case letters, digits and -", req.GetName())
	}
	return duration, checkFault(req.GetFault())
}

func checkFault(f *observev1.Fault) error {
	share := func(s float64) error {
		if !(s >= 0 && s <= 1) {
			return fmt.Errorf("share %v: a share is more than 0, and at most 1", max(s, 0))
		}
		return nil
	}
	switch f := f.GetKind().(type) {
	case *observev1.Fault_Latency:
		delay, jitter := f.Latency.GetDelay().AsDuration(), f.Latency.GetJitter().AsDuration()
		if delay <= 0 || delay > mostDelay || jitter < 0 || jitter > mostDelay {
			return fmt.Errorf("a delay of %s ± %s: want one of up to %s", delay, jitter, mostDelay)
		}
		return share(f.Latency.GetShare())
	case *observev1.Fault_Error:
		if _, err := code(f.Error); err != nil {
			return err
		}
		return share(f.Error.GetShare())
	case *observev1.Fault_Kill:
		if every := f.Kill.GetEvery().AsDuration(); every != 0 && every < leastEvery {
			return fmt.Errorf("to kill every %s: want every %s at most", every, leastEvery)
		}
		return nil
	case *observev1.Fault_Partition:
		if f.Partition.GetFrom() == f.Partition.GetTo() {
			return errors.New("a partition is between two services")
		}
		return nil
	}
	return errors.New("an experiment needs a fault: latency, error, kill or partition")
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
