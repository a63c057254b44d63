package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	fleetv1 "github.com/gowarren/warren/api/warren/fleet/v1"
	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// inForce lists what each instance obeys of a setting, and which layer says so.
// One that is behind obeys what was so at the revision that it runs.
func (s *screens) inForce(r *frame.Request, one *settingsv1.Setting, changes []*settingsv1.Change) *frame.Table {
	list, err := s.fleet.List(r.Context(), &fleetv1.ListRequest{})
	r.Missing("The instances", err)
	if err != nil {
		return nil
	}
	var latest int64
	if len(changes) > 0 {
		latest = changes[0].GetRevision()
	}
	t := frame.Table{
		Caption: "In force",
		Columns: []frame.Column{
			{Key: "instance", Title: "Instance"}, {Key: "value", Title: "Value"}, {Key: "layer", Title: "From"}, {Key: "where", Title: "Said for", Wide: true},
			{Key: "revision", Title: "Runs revision", Number: true},
		},
		Note: "of each process that has it; methods and contracts may have values of their own",
	}
	for _, i := range list.GetInstances() {
		v := resolved(one, i.GetService(), past(one.GetName(), changes, i.GetSettingsRevision()))
		layer := policyLayer(v.GetLayer())
		revision := frame.Number(i.GetSettingsRevision())
		if i.GetState() != fleetv1.State_STATE_READY && i.GetSettingsRevision() == 0 {
			revision = frame.Text("–") // it does not run yet
		} else if i.GetSettingsRevision() < latest {
			revision.Status = &frame.Status{Word: strconv.FormatInt(i.GetSettingsRevision(), 10), Tone: frame.Warn}
			revision.Sub = fmt.Sprintf("%d is the latest", latest)
		}
		t.Rows = append(t.Rows, frame.Row{ID: rowID("force", i.GetId()), Href: instanceHref(i), Cells: []frame.Cell{
			frame.Text(i.GetId()), frame.Mono(cmp.Or(v.GetValue(), "–")), {Text: layer.Word, Status: &layer, Sub: v.GetPosition()},
			frame.Text(cmp.Or(v.GetScope(), "–")), revision,
		}})
	}
	return r.Sorted(t, "instance")
}

// resolved is the value that a process of the service obeys: the centre's comes
// before the file's, and in each the narrower scope before the wider. edits are
// what the centre has changed since then.
func resolved(one *settingsv1.Setting, service string, edits []*settingsv1.Edit) *settingsv1.Value {
	for _, layer := range []string{"centre", "file"} {
		for _, scope := range []string{service, "all"} {
			undone := slices.IndexFunc(edits, func(e *settingsv1.Edit) bool { return layer == "centre" && e.GetScope() == scope })
			if undone >= 0 {
				if edits[undone].Old == nil {
					continue
				}
				return &settingsv1.Value{Value: edits[undone].GetOld(), Scope: scope, Layer: layer}
			}
			i := slices.IndexFunc(one.GetValues(), func(v *settingsv1.Value) bool { return v.GetLayer() == layer && v.GetScope() == scope })
			if i >= 0 {
				return one.GetValues()[i]
			}
		}
	}
	return &settingsv1.Value{Value: one.GetDefault(), Layer: "default"}
}

// past are the edits of a setting after a revision, the earliest of each scope
// first: what it replaced was in force then. Revision 0 is that of who has not
// said what it runs.
func past(name string, changes []*settingsv1.Change, revision int64) []*settingsv1.Edit {
	var out []*settingsv1.Edit
	for _, c := range slices.Backward(changes) {
		if c.GetRevision() <= revision || revision == 0 {
			continue
		}
		for _, e := range c.GetEdits() {
			if e.GetName() == name {
				out = append(out, e)
			}
		}
	}
	return out
}
