package console

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// inForce lists what each instance obeys of a setting, and which layer says so.
func (s *screens) inForce(r *frame.Request, name string) *frame.Table {
	found, err := s.settings.InForce(r.Context(), &settingsv1.InForceRequest{Setting: name})
	r.Missing("What instances obey", err)
	if err != nil {
		return nil
	}
	t := frame.Table{
		Caption: "In force",
		Columns: []frame.Column{
			{Key: "instance", Title: "Instance"}, {Key: "value", Title: "Value"}, {Key: "layer", Title: "From"}, {Key: "where", Title: "Said for", Wide: true},
			{Key: "revision", Title: "Runs revision", Number: true},
		},
		Note: "of each process that has it; methods and contracts may have values of their own",
	}
	for _, one := range found.GetValues() {
		if one.GetSetting() != name {
			continue // another one, whose name begins so
		}
		v := one.GetValue()
		layer := policyLayer(v.GetLayer())
		revision := frame.Number(one.GetRevision())
		if one.GetState() != "ready" && one.GetRevision() == 0 {
			revision = frame.Text("–") // it does not run yet
		} else if one.GetRevision() < found.GetRevision() {
			revision.Status = &frame.Status{Word: strconv.FormatInt(one.GetRevision(), 10), Tone: frame.Warn}
			revision.Sub = fmt.Sprintf("%d is the latest", found.GetRevision())
		}
		t.Rows = append(t.Rows, frame.Row{ID: rowID("force", one.GetInstance()), Href: processHref(one), Cells: []frame.Cell{
			frame.Text(one.GetInstance()), frame.Mono(cmp.Or(v.GetValue(), "–")), {Text: layer.Word, Status: &layer, Sub: v.GetPosition()},
			frame.Text(cmp.Or(v.GetScope(), "–")), revision,
		}})
	}
	return r.Sorted(t, "instance")
}

// processHref leads to the page of an instance: "catalog/1" is its first.
func processHref(one *settingsv1.InForce) string {
	number, ok := strings.CutPrefix(one.GetInstance(), one.GetService()+"/")
	if !ok {
		return serviceHref(one.GetService())
	}
	return serviceHref(one.GetService()) + "/" + url.PathEscape(number)
}
