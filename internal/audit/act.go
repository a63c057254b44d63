package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"

	contractsv1 "github.com/gowarren/warren/api/warren/contracts/v1"
	eventsv1 "github.com/gowarren/warren/api/warren/events/v1"
	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	shardsv1 "github.com/gowarren/warren/api/warren/shards/v1"
	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// act is what a request does, to what, for whom and why.
type act struct{ name, target, author, reason string }

// actOf tells what a request did; not ok: it changes nothing. It says neither
// values nor requests, which may be secret.
func actOf(ctx context.Context, req, resp any) (a act, ok bool) {
	for _, of := range []func(context.Context, any, any) (name, target string){ofFleet, ofSettings, ofObserved, ofTransactions, ofServices} {
		if a.name, a.target = of(ctx, req, resp); a.name != "" {
			a.author, a.reason = signed(req)
			return a, true
		}
	}
	return a, false
}

// signed is who asks, and why.
func signed(req any) (author, reason string) {
	switch by := req.(type) {
	case interface{ GetBy() *txnv1.By }:
		req = by.GetBy()
	case interface{ GetBy() *eventsv1.By }:
		req = by.GetBy()
	case interface{ GetBy() *shardsv1.By }:
		req = by.GetBy()
	}
	if by, ok := req.(interface {
		GetAuthor() string
		GetReason() string
	}); ok {
		return by.GetAuthor(), by.GetReason()
	}
	return "", ""
}

func ofFleet(_ context.Context, req, _ any) (name, target string) {
	switch r := req.(type) {
	case *fleetv1.RestartRequest:
		return "restart", cmp.Or(strings.Join(r.GetServices(), ", "), "all services")
	case *fleetv1.ScaleRequest:
		return "scale", fmt.Sprintf("%s to %d", r.GetService(), r.GetReplicas())
	case *fleetv1.KillRequest:
		switch sent := "SIG" + strings.TrimPrefix(strings.ToUpper(r.GetSignal()), "SIG"); sent {
		case "SIG", "SIGKILL":
			return "kill", r.GetInstance()
		case "SIGTERM":
			return "drain", r.GetInstance()
		default:
			return "kill", r.GetInstance() + " " + sent
		}
	case *fleetv1.StopRequest:
		return "down", "the system"
	}
	return "", ""
}

func ofSettings(_ context.Context, req, _ any) (name, target string) {
	switch r := req.(type) {
	case *settingsv1.SetRequest:
		var all []string
		for _, e := range r.GetEdits() {
			all = append(all, e.GetName()+" on "+cmp.Or(e.GetScope(), "all"))
		}
		if slices.ContainsFunc(r.GetEdits(), func(e *settingsv1.Edit) bool { return e.New != nil }) {
			return "set", strings.Join(all, ", ")
		}
		return "unset", strings.Join(all, ", ")
	case *settingsv1.RollbackRequest:
		return "rollback", fmt.Sprintf("revision %d", r.GetRevision())
	}
	return "", ""
}

func ofObserved(_ context.Context, req, resp any) (name, target string) {
	switch r := req.(type) {
	case *observev1.SilenceRequest:
		var all []string
		for _, m := range r.GetMatchers() {
			all = append(all, m.GetLabel()+sign(m)+m.GetValue())
		}
		return "silence", fmt.Sprintf("%s for %s", strings.Join(all, " "), r.GetDuration().AsDuration())
	case *observev1.UnsilenceRequest:
		return "unsilence", r.GetId()
	case *observev1.TakeProfileRequest:
		return "profile", r.GetInstance()
	case *observev1.ExperimentServiceStartRequest:
		if r.GetDryRun() {
			return "", ""
		}
		answer, _ := resp.(*observev1.ExperimentServiceStartResponse)
		target = cmp.Or(answer.GetExperiment().GetName(), r.GetName(), "an experiment")
		if at := answer.GetExperiment().GetRadius().GetServices(); len(at) > 0 {
			target += " at " + strings.Join(at, ", ")
		}
		return "start experiment", target
	case *observev1.ExperimentServiceStopRequest:
		return "stop experiment", r.GetName()
	case *contractsv1.CallRequest:
		if answer, _ := resp.(*contractsv1.CallResponse); answer.GetSafe() {
			return "read", strings.TrimPrefix(r.GetMethod(), "/")
		}
		return "call", strings.TrimPrefix(r.GetMethod(), "/")
	}
	return "", ""
}

// sign is how a matcher compares.
func sign(m *observev1.Matcher) string {
	switch {
	case m.GetRegex() && m.GetNegative():
		return "!~"
	case m.GetRegex():
		return "=~"
	case m.GetNegative():
		return "!="
	}
	return "="
}

func ofTransactions(_ context.Context, req, _ any) (name, target string) {
	switch r := req.(type) {
	case *txnv1.RetryRequest:
		return "retry", r.GetGid()
	case *txnv1.CompensateRequest:
		return "compensate", r.GetGid()
	case *txnv1.SkipRequest:
		return "skip", r.GetGid() + " " + r.GetBranch()
	case *txnv1.EditRequest:
		return "edit", r.GetGid() + " " + r.GetBranch()
	case *txnv1.ParkRequest:
		return "park", r.GetGid()
	case *txnv1.UnparkRequest:
		return "unpark", r.GetGid()
	}
	return "", ""
}

// ofServices are what several services answer for: the call names one.
func ofServices(ctx context.Context, req, resp any) (name, target string) {
	service := ""
	if to := metadata.ValueFromIncomingContext(ctx, "warren-to"); len(to) > 0 {
		service = to[0] + " "
	}
	switch r := req.(type) {
	case *eventsv1.EditRequest:
		return "edit", service + "letter " + r.GetLetter()
	case *eventsv1.ReplayRequest:
		answer, _ := resp.(*eventsv1.ReplayResponse)
		return settled("replay", service, r.GetDryRun(), r.GetFilter(), answer)
	case *eventsv1.DropRequest:
		answer, _ := resp.(*eventsv1.DropResponse)
		return settled("drop", service, r.GetDryRun(), r.GetFilter(), answer)
	case *shardsv1.MoveRequest:
		return "move", fmt.Sprintf("%sshard %d", service, r.GetShard())
	case *shardsv1.AbortRequest:
		return "abort move", fmt.Sprintf("%sshard %d", service, r.GetShard())
	}
	return "", ""
}

// settled says which letters: the one that is named, or how many, by what they
// were chosen.
func settled(verb, service string, dry bool, f *eventsv1.Filter, answer interface{ GetCount() int32 }) (name, target string) {
	if dry {
		return "", ""
	}
	if f.GetLetter() != "" {
		return verb, service + "letter " + f.GetLetter()
	}
	chosen := []string{fmt.Sprintf("%s%d letters", service, answer.GetCount())}
	for _, one := range [][2]string{{"event", f.GetTopic()}, {"key", f.GetKey()}, {"group", f.GetGroup()}, {"because", f.GetReason()}} {
		if one[1] != "" {
			chosen = append(chosen, one[0]+" "+one[1])
		}
	}
	if f.GetBefore() != nil {
		chosen = append(chosen, "before "+f.GetBefore().AsTime().UTC().Format(time.RFC3339))
	}
	return verb, strings.Join(chosen, ", ")
}
