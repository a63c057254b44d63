package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

type serviceView struct {
	Name      string
	Health    frame.Status
	Instances *frame.Table
	Charts    []frame.Chart
	Methods   *frame.Table
	Policies  *frame.Table
	Lines     []line
	Contracts []string
	Count     int
}

func (s *screens) service(r *frame.Request) (any, error) {
	name := r.PathValue("service")
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{Services: []string{name}})
	if err != nil {
		return nil, err
	}
	v := serviceView{Name: name, Health: health(list.GetInstances()), Count: len(list.GetInstances())}
	v.Instances = r.Sorted(instanceTable(list.GetInstances()), "instance")
	if v.Charts, err = s.serviceCharts(r, name); err != nil {
		r.Missing("Traffic", err)
	}
	if v.Methods, err = s.methodTable(r, name); err != nil {
		v.Methods = nil // said above
	}
	policies, err := once(r.Context(), s.answers, while, "policies of "+name, func(ctx context.Context) (*settingsv1.ListPoliciesResponse, error) {
		return s.policies.List(ctx, &settingsv1.ListPoliciesRequest{Service: name})
	})
	r.Missing("The policies in force", err)
	if err == nil {
		v.Policies = policySummary(policies.GetPolicies())
	}
	contracts, err := s.served(r.Context(), name)
	r.Missing("The contracts it serves", err)
	v.Contracts = contracts
	v.Lines, err = s.lastLines(r.Context(), name, 40)
	r.Missing("Its log", err)
	return v, nil
}

type instanceView struct {
	Instance *fleetv1.Instance
	State    frame.Status
	Facts    []fact
	Checks   *frame.Table
	Charts   []frame.Chart
	Profiles *frame.Table
	Lines    []line
}

type fact struct{ Name, Value string }

func (s *screens) instance(r *frame.Request) (any, error) {
	service := r.PathValue("service")
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{Services: []string{service}, Checks: fleetv1.Checks_CHECKS_ALL})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list.GetInstances(), func(i *fleetv1.Instance) bool { return strconv.Itoa(int(i.GetNumber())) == r.PathValue("number") })
	if i < 0 {
		return nil, &frame.Problem{Status: 404, Title: "It is not there", Text: fmt.Sprintf("%s has no instance %s now.", service, r.PathValue("number"))}
	}
	one := list.GetInstances()[i]
	v := instanceView{Instance: one, State: stateOf(one.GetState())}
	v.Facts = []fact{
		{"Process", strconv.FormatInt(one.GetPid(), 10)}, {"Running for", since(one.GetStarted().AsTime()).Text}, {"Address", one.GetAddress()},
		{"Socket", one.GetSocket()}, {"Health, metrics and profiles", one.GetAdmin()}, {"Version", one.GetVersion()}, {"Zone", one.GetZone()},
		{"Revision of the settings", strconv.FormatInt(one.GetSettingsRevision(), 10)}, {"Restarts", strconv.Itoa(int(one.GetRestarts()))},
	}
	if e := one.GetLastExit(); e != nil {
		v.Facts = append(v.Facts, fact{"How it ended before", e.GetHow() + ", " + frame.Ago(e.GetTime().AsTime(), r.Now)})
	}
	for i := range v.Facts {
		v.Facts[i].Value = cmp.Or(v.Facts[i].Value, "–")
	}
	if one.GetUnchecked() != "" {
		r.Missing("Its checks", errors.New(one.GetUnchecked()))
	}
	v.Checks = checkTable(one.GetChecks())
	v.Charts, err = s.instanceCharts(r, one.GetId(), service)
	r.Missing("Traffic", err)
	profiles, err := s.profiles.List(r.Context(), &observev1.ListProfilesRequest{Instance: one.GetId()})
	r.Missing("Its profiles", err)
	if err == nil {
		v.Profiles = profileTable(profiles.GetProfiles(), one.GetId())
	}
	v.Lines, err = s.lastLines(r.Context(), one.GetId(), 100)
	r.Missing("Its log", err)
	return v, nil
}

// checkTable is what an instance needs to be ready, what fails first; nil: it
// was not asked.
func checkTable(checks []*fleetv1.Check) *frame.Table {
	if len(checks) == 0 {
		return nil
	}
	t := &frame.Table{
		Caption: "What it needs to be ready",
		Columns: []frame.Column{{Title: "Check", Fixed: true}, {Title: "State", Fixed: true}, {Title: "Why", Fixed: true}},
	}
	failed := 0
	for _, c := range checks {
		row := frame.Row{ID: rowID("check", c.GetName()), Cells: []frame.Cell{frame.Text(c.GetName()), frame.Stated("passes", frame.Good), frame.Text("–")}}
		if !c.GetOk() {
			row.Cells[1], row.Cells[2] = frame.Stated("fails", frame.Bad), frame.Text(cmp.Or(c.GetReason(), "–"))
			t.Rows = slices.Insert(t.Rows, failed, row)
			failed++
			continue
		}
		t.Rows = append(t.Rows, row)
	}
	t.Note = fmt.Sprintf("%d of %d pass", len(checks)-failed, len(checks))
	return t
}

// fleetActions are what people do with processes.
func (s *screens) fleetActions() []frame.Action {
	return []frame.Action{
		{
			Name: "restart", Path: "/services/{service}/restart", Needs: frame.Operator,
			Ask: func(r *frame.Request) (frame.Form, error) {
				name := r.PathValue("service")
				return frame.Form{
					Title: "Restart " + name, Submit: "Restart", Back: serviceHref(name),
					Says: []string{"Its instances are replaced one after the other: the new one is ready before the old one drains. No request is lost."},
				}, nil
			},
			Do: func(r *frame.Request) (frame.Outcome, error) {
				name := r.PathValue("service")
				resp, err := s.fleet.Restart(r.Context(), &fleetv1.RestartRequest{Services: []string{name}, Author: r.Caller.Name, Reason: r.Reason()})
				return outcome("Restarted "+name, resp.GetInstances(), name), err
			},
		},
		{
			Name: "scale", Path: "/services/{service}/scale", Needs: frame.Operator, Ask: s.askScale,
			Do: func(r *frame.Request) (frame.Outcome, error) {
				name := r.PathValue("service")
				n, err := strconv.ParseInt(strings.TrimSpace(r.PostForm.Get("replicas")), 10, 32)
				if err != nil || n < 0 {
					return frame.Outcome{}, &frame.Problem{Status: 422, Title: "Not a number", Text: "How many instances? A whole number, please."}
				}
				resp, err := s.fleet.Scale(r.Context(), &fleetv1.ScaleRequest{
					Service: name, Replicas: int32(n), Author: r.Caller.Name, Reason: r.Reason(),
				})
				return outcome(fmt.Sprintf("%s has %d instances", name, n), resp.GetInstances(), name), err
			},
		},
		s.profileAction(),
		s.signal("kill", "SIGKILL", "Kill", "Its process ends at once, as by a crash: callers go elsewhere, and the supervisor starts it again."),
		s.signal("drain", "SIGTERM", "Drain", "It takes no new requests, finishes those it has, and ends. The supervisor then starts it again."),
	}
}

func (s *screens) askScale(r *frame.Request) (frame.Form, error) {
	name := r.PathValue("service")
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{Services: []string{name}})
	return frame.Form{
		Title: "Scale " + name, Submit: "Scale", Back: serviceHref(name),
		Says:   []string{fmt.Sprintf("It has %d now. Those too many drain first.", len(list.GetInstances()))},
		Fields: []frame.Field{{Name: "replicas", Label: "Instances", Kind: "number", Value: strconv.Itoa(len(list.GetInstances()))}},
	}, err
}

// signal is an action that sends a signal to one instance.
func (s *screens) signal(name, signal, verb, says string) frame.Action {
	id := func(r *frame.Request) string { return r.PathValue("service") + "/" + r.PathValue("number") }
	return frame.Action{
		Name: name, Path: "/services/{service}/{number}/" + name, Needs: frame.Operator,
		Ask: func(r *frame.Request) (frame.Form, error) {
			return frame.Form{
				Title: verb + " " + id(r), Submit: verb, Back: serviceHref(r.PathValue("service")),
				Says: []string{says}, Type: id(r), Danger: true,
			}, nil
		},
		Do: func(r *frame.Request) (frame.Outcome, error) {
			_, err := s.fleet.Kill(r.Context(), &fleetv1.KillRequest{Instance: id(r), Signal: signal, Author: r.Caller.Name, Reason: r.Reason()})
			return frame.Outcome{Title: signal + " was sent to " + id(r), Back: serviceHref(r.PathValue("service"))}, err
		},
	}
}

func serviceHref(name string) string { return "/services/" + url.PathEscape(name) }

func outcome(title string, instances []*fleetv1.Instance, service string) frame.Outcome {
	out := frame.Outcome{Title: title, Back: serviceHref(service)}
	for _, i := range instances {
		out.Lines = append(out.Lines, i.GetId()+": "+stateOf(i.GetState()).Word)
	}
	return out
}
