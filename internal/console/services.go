package console

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// header is what stands above every page.
func (s *screens) header(ctx context.Context) frame.Header {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := s.fleet.List(ctx, &fleetv1.ListRequest{})
	if err != nil {
		return frame.Header{Status: frame.Status{Word: "unreachable", Tone: frame.Bad}}
	}
	return frame.Header{System: list.GetSystem().GetName(), Environment: list.GetSystem().GetEnvironment(), Status: health(list.GetInstances())}
}

// health is how instances are doing together.
func health(instances []*fleetv1.Instance) frame.Status {
	ready, wanted := 0, 0
	tone := frame.Good
	for _, i := range instances {
		if i.GetState() == fleetv1.State_STATE_STOPPED {
			continue
		}
		wanted++
		switch i.GetState() {
		case fleetv1.State_STATE_READY:
			ready++
		case fleetv1.State_STATE_CRASH_LOOP:
			tone = frame.Bad
		default:
			if tone == frame.Good {
				tone = frame.Warn
			}
		}
	}
	if wanted == 0 {
		return frame.Status{Word: "nothing runs", Tone: frame.Idle}
	}
	return frame.Status{Word: fmt.Sprintf("%d of %d ready", ready, wanted), Tone: tone}
}

func stateOf(state fleetv1.State) frame.Status {
	word := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(state.String(), "STATE_")), "_", " ")
	tones := map[fleetv1.State]frame.Tone{
		fleetv1.State_STATE_READY: frame.Good, fleetv1.State_STATE_STARTING: frame.Busy, fleetv1.State_STATE_DRAINING: frame.Warn,
		fleetv1.State_STATE_WAITING: frame.Bad, fleetv1.State_STATE_CRASH_LOOP: frame.Bad, fleetv1.State_STATE_STOPPED: frame.Idle,
	}
	return frame.Status{Word: word, Tone: cmp.Or(tones[state], frame.Idle)}
}

type servicesView struct {
	Table   *frame.Table
	Engines *frame.Table
	Tab     string
}

// Export is the list of services.
func (v servicesView) Export() *frame.Table { return v.Table }

func (s *screens) services(r *frame.Request) (any, error) {
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	v := servicesView{Tab: "services"}
	if r.Get("show") == "instances" {
		v.Tab = "instances"
		v.Table = r.Sorted(instanceTable(list.GetInstances()), "instance")
	} else {
		red, err := s.red(r.Context())
		r.Missing("Traffic", err)
		v.Table = r.Sorted(serviceTable(list.GetInstances(), red, r.Get("q")), "service")
		v.Table.Empty.Clear = r.With("q", "")
	}
	v.Engines = engineTable(list.GetEngines())
	return v, nil
}

// byService groups instances, in the order of their services.
func byService(instances []*fleetv1.Instance) (names []string, groups map[string][]*fleetv1.Instance) {
	groups = map[string][]*fleetv1.Instance{}
	for _, i := range instances {
		if groups[i.GetService()] == nil {
			names = append(names, i.GetService())
		}
		groups[i.GetService()] = append(groups[i.GetService()], i)
	}
	return names, groups
}

func serviceTable(instances []*fleetv1.Instance, red map[string]red, filter string) frame.Table {
	t := frame.Table{
		Caption: "Services",
		Columns: []frame.Column{
			{Key: "service", Title: "Service"}, {Key: "health", Title: "Health"}, {Key: "rate", Title: "Requests", Number: true},
			{Key: "errors", Title: "Errors", Number: true}, {Key: "p95", Title: "p95", Number: true},
			{Key: "version", Title: "Version", Wide: true}, {Key: "restarts", Title: "Restarts", Number: true, Wide: true},
			{Key: "since", Title: "Running for", Number: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No service is called that", Text: "The filter leaves none."},
	}
	names, groups := byService(instances)
	for _, name := range names {
		if !strings.Contains(name, filter) {
			continue
		}
		group := groups[name]
		h := health(group)
		var restarts int64
		var versions []string
		var oldest time.Time
		for _, i := range group {
			restarts += int64(i.GetRestarts())
			if v := i.GetVersion(); v != "" && !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
			if at := i.GetStarted(); at != nil && (oldest.IsZero() || at.AsTime().Before(oldest)) {
				oldest = at.AsTime()
			}
		}
		t.Rows = append(t.Rows, frame.Row{ID: "service-" + name, Href: "/services/" + url.PathEscape(name), Cells: slices.Concat([]frame.Cell{
			frame.Text(name), {Text: h.Word, Status: &h, Order: -float64(len(group))},
		}, red[name].cells(), []frame.Cell{
			frame.Text(cmp.Or(short(strings.Join(versions, ", ")), "–")), frame.Number(restarts), since(oldest),
		})})
	}
	t.Note = strconv.Itoa(len(t.Rows))
	return t
}

// short leaves of a long version what tells it from others.
func short(version string) string {
	const room = 24
	if len(version) > room {
		return version[:room-1] + "…"
	}
	return version
}

func since(t time.Time) frame.Cell {
	if t.IsZero() || t.Unix() == 0 { // which is what no message says
		return frame.Text("–")
	}
	d := time.Since(t)
	return frame.Cell{Text: frame.Span(d.Truncate(time.Second)), Order: d.Seconds()}
}

func instanceTable(instances []*fleetv1.Instance) frame.Table {
	t := frame.Table{
		Caption: "Instances",
		Columns: []frame.Column{
			{Key: "instance", Title: "Instance"}, {Key: "state", Title: "State"}, {Key: "pid", Title: "Process", Number: true, Wide: true},
			{Key: "address", Title: "Address", Wide: true}, {Key: "restarts", Title: "Restarts", Number: true},
			{Key: "revision", Title: "Settings", Number: true, Wide: true}, {Key: "since", Title: "Running for", Number: true},
			{Title: "", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{Title: "No instance runs", Text: "This service has no replica now.", Code: "warren scale SERVICE=1"},
	}
	for _, i := range instances {
		state := stateOf(i.GetState())
		cell := frame.Cell{Text: state.Word, Status: &state}
		if i.GetLastExit() != nil {
			cell.Sub = "before: " + i.GetLastExit().GetHow()
		}
		href := instanceHref(i)
		t.Rows = append(t.Rows, frame.Row{ID: "instance-" + strings.ReplaceAll(i.GetId(), "/", "-"), Href: href, Cells: []frame.Cell{
			frame.Text(i.GetId()), cell, {Text: strconv.FormatInt(i.GetPid(), 10), Order: float64(i.GetPid())}, frame.Mono(cmp.Or(i.GetAddress(), "–")),
			frame.Number(int64(i.GetRestarts())), {Text: strconv.FormatInt(i.GetSettingsRevision(), 10), Order: float64(i.GetSettingsRevision())},
			since(i.GetStarted().AsTime()), {Actions: []frame.Link{{Text: "Kill", Href: href + "/kill", Asks: true, Danger: true}}},
		}})
	}
	return t
}

func instanceHref(i *fleetv1.Instance) string {
	return fmt.Sprintf("/services/%s/%d", url.PathEscape(i.GetService()), i.GetNumber())
}

func engineTable(engines []*fleetv1.Engine) *frame.Table {
	t := &frame.Table{
		Caption: "What the system leans on",
		Columns: []frame.Column{
			{Title: "For", Fixed: true},
			{Title: "Engine", Fixed: true},
			{Title: "State", Fixed: true},
			{Title: "Address", Fixed: true, Wide: true},
		},
	}
	for _, e := range engines {
		state := frame.Status{Word: "outside", Tone: frame.Idle}
		if e.GetEmbedded() {
			state = frame.Status{Word: "runs inside", Tone: frame.Good}
		}
		if e.GetProblem() != "" {
			state = frame.Status{Word: e.GetProblem(), Tone: frame.Bad}
		}
		t.Rows = append(t.Rows, frame.Row{ID: "engine-" + e.GetRole(), Cells: []frame.Cell{
			frame.Text(e.GetRole()), frame.Text(e.GetKind()), {Status: &state}, frame.Mono(e.GetAddress()),
		}})
	}
	return t
}
