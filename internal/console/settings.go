package console

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

func queryEscape(text string) string { return url.QueryEscape(text) }

type settingsView struct {
	Table       *frame.Table
	Environment string
	Revision    int64
	Tabs        []tab
}

// Export is the list of settings.
func (v settingsView) Export() *frame.Table { return v.Table }

func (s *screens) settingList(r *frame.Request) (any, error) {
	list, err := s.settings.List(r.Context(), &settingsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	v := settingsView{Environment: list.GetEnvironment(), Revision: list.GetRevision()}
	for _, one := range []struct{ key, name string }{{"", "All"}, {"changed", "Changed only"}} {
		v.Tabs = append(v.Tabs, tab{one.name, r.With("show", one.key), r.Get("show") == one.key})
	}
	t := frame.Table{
		Caption: "Settings",
		Columns: []frame.Column{
			{Key: "name", Title: "Setting"},
			{Key: "value", Title: "In force"},
			{Key: "layer", Title: "From"},
			{Key: "default", Title: "Default", Wide: true},
			{Key: "range", Title: "Range", Wide: true, Fixed: true},
		},
		Empty: frame.Empty{
			Title: "No setting is like that", Text: "No name or meaning contains it.", Clear: r.With("q", "", "show", ""),
		},
	}
	for _, one := range list.GetSettings() {
		if q := strings.ToLower(r.Get("q")); !strings.Contains(strings.ToLower(one.GetName()+" "+one.GetDoc()), q) ||
			r.Get("show") == "changed" && len(one.GetValues()) == 0 {
			continue
		}
		t.Rows = append(t.Rows, settingRow(one))
	}
	t.Note = fmt.Sprintf("%d of %d", len(t.Rows), len(list.GetSettings()))
	v.Table = r.Sorted(t, "name")
	return v, nil
}

func settingRow(one *settingsv1.Setting) frame.Row {
	value, layer, sub := cmp.Or(one.GetDefault(), "–"), frame.Status{Word: "default", Tone: frame.Idle}, ""
	if all := everywhere(one); all != nil {
		value, layer = all.GetValue(), layerOf(all.GetLayer())
	}
	if n := scoped(one); n > 0 {
		sub = plural(n, "place") + " with a value of their own"
		if n == 1 {
			sub = "1 place with a value of its own"
		}
		if layer.Word == "default" {
			layer = layerOf("centre")
			layer.Word = "in places"
		}
	}
	return frame.Row{ID: "setting-" + one.GetName(), Href: settingHref(one.GetName()), Cells: []frame.Cell{
		{Text: one.GetName(), Sub: one.GetDoc()}, {Text: value, Mono: true, Sub: sub}, {Text: layer.Word, Status: &layer},
		frame.Mono(cmp.Or(one.GetDefault(), "–")), frame.Text(rangeOf(one)),
	}}
}

// everywhere is the value that holds where nothing narrower does; the centre's
// comes first.
func everywhere(one *settingsv1.Setting) *settingsv1.Value {
	i := slices.IndexFunc(one.GetValues(), func(v *settingsv1.Value) bool { return v.GetScope() == "all" })
	if i < 0 {
		return nil
	}
	return one.GetValues()[i]
}

func scoped(one *settingsv1.Setting) int {
	n := 0
	for _, v := range one.GetValues() {
		if v.GetScope() != "all" {
			n++
		}
	}
	return n
}

func layerOf(layer string) frame.Status {
	if layer == "file" {
		return frame.Status{Word: "file", Tone: frame.Idle}
	}
	return frame.Status{Word: "centre", Tone: frame.Busy}
}

func rangeOf(one *settingsv1.Setting) string {
	switch {
	case len(one.GetOneOf()) > 0:
		return strings.Join(one.GetOneOf(), " | ")
	case one.GetMin() != "" || one.GetMax() != "":
		return one.GetMin() + " … " + one.GetMax()
	}
	return one.GetType()
}

func settingHref(name string) string { return "/settings/" + url.PathEscape(name) }

type settingView struct {
	Setting *settingsv1.Setting
	Facts   []fact
	Values  *frame.Table
	InForce *frame.Table
	History *frame.Table
	Change  []frame.Link
}

func (s *screens) setting(r *frame.Request) (any, error) {
	one, err := s.oneSetting(r)
	if err != nil {
		return nil, err
	}
	v := settingView{Setting: one, Change: []frame.Link{{Text: "Change", Href: settingHref(one.GetName()) + "/set", Asks: true}}}
	v.Facts = []fact{{"Type", one.GetType()}, {"Default", cmp.Or(one.GetDefault(), "–")}, {"Range", rangeOf(one)}}
	t := frame.Table{
		Caption: "Values",
		Columns: []frame.Column{{Title: "Where", Fixed: true}, {Title: "Value", Fixed: true}, {Title: "Layer", Fixed: true}, {Title: "", Fixed: true}},
		Empty: frame.Empty{
			Title: "The default holds everywhere", Text: "Neither the centre nor the system file says anything; the contract of a method may.",
		},
	}
	for i, value := range one.GetValues() {
		layer := layerOf(value.GetLayer())
		row := frame.Row{
			ID:    fmt.Sprintf("value-%d", i),
			Cells: []frame.Cell{frame.Mono(value.GetScope()), frame.Mono(value.GetValue()), {Status: &layer, Sub: value.GetPosition()}, {}},
		}
		if value.GetLayer() == "centre" {
			q := "?on=" + queryEscape(value.GetScope())
			row.Cells[3] = frame.Cell{Actions: []frame.Link{
				{Text: "Change", Href: settingHref(one.GetName()) + "/set" + q, Asks: true},
				{Text: "Remove", Href: settingHref(one.GetName()) + "/unset" + q, Asks: true},
			}}
		}
		t.Rows = append(t.Rows, row)
	}
	v.Values = &t
	history, err := s.settings.History(r.Context(), &settingsv1.HistoryRequest{})
	r.Missing("The history", err)
	v.InForce = s.inForce(r, one.GetName())
	changes := slices.DeleteFunc(history.GetChanges(), func(c *settingsv1.Change) bool {
		return !slices.ContainsFunc(c.GetEdits(), func(e *settingsv1.Edit) bool { return e.GetName() == one.GetName() })
	})
	v.History = changeTable(changes, 0)
	return v, nil
}

func (s *screens) oneSetting(r *frame.Request) (*settingsv1.Setting, error) {
	list, err := s.settings.List(r.Context(), &settingsv1.ListRequest{})
	if err != nil {
		return nil, err
	}
	name := r.PathValue("setting")
	i := slices.IndexFunc(list.GetSettings(), func(one *settingsv1.Setting) bool { return one.GetName() == name })
	if i < 0 {
		return nil, &frame.Problem{Status: 404, Title: "It is not there", Text: "There is no setting " + name + "."}
	}
	return list.GetSettings()[i], nil
}

type historyView struct {
	Table      *frame.Table
	Diff       *frame.Table
	From, To   string
	Now        int64
	Comparable bool
}

// Export is what is in force where.
func (v settingView) Export() *frame.Table { return v.InForce }

// Export is the list of changes.
func (v historyView) Export() *frame.Table { return v.Table }

func (s *screens) settingHistory(r *frame.Request) (any, error) {
	history, err := s.settings.History(r.Context(), &settingsv1.HistoryRequest{})
	if err != nil {
		return nil, err
	}
	v := historyView{From: r.Get("from-revision"), To: r.Get("to-revision")}
	if len(history.GetChanges()) > 0 {
		v.Now = history.GetChanges()[0].GetRevision()
	}
	v.Table = changeTable(history.GetChanges(), v.Now)
	from, notNumber := strconv.ParseInt(v.From, 10, 64)
	if notNumber != nil {
		return v, nil //nolint:nilerr // nothing is compared, then
	}
	to, _ := strconv.ParseInt(v.To, 10, 64) // 0 is now
	diff, err := s.settings.Diff(r.Context(), &settingsv1.DiffRequest{From: from, To: to})
	if err != nil {
		return nil, err
	}
	v.Diff = &frame.Table{
		Caption: "What differs",
		Columns: []frame.Column{{Title: "Setting", Fixed: true}, {Title: "Where", Fixed: true}, {Title: "Before", Fixed: true}, {Title: "After", Fixed: true}},
		Empty:   frame.Empty{Title: "Nothing differs", Text: "Both revisions hold the same values."},
	}
	for i, e := range diff.GetEdits() {
		v.Diff.Rows = append(v.Diff.Rows, frame.Row{ID: fmt.Sprintf("diff-%d", i), Cells: []frame.Cell{
			{Text: e.GetName(), Href: settingHref(e.GetName())}, frame.Mono(e.GetScope()), frame.Mono(orUnset(e.Old)), frame.Mono(orUnset(e.New)),
		}})
	}
	return v, nil
}

func orUnset(v *string) string {
	if v == nil {
		return "(unset)"
	}
	return *v
}

// changeTable lists changes; where now is given, earlier ones can be returned to.
func changeTable(changes []*settingsv1.Change, now int64) *frame.Table {
	t := &frame.Table{
		Caption: "Changes",
		Columns: []frame.Column{
			{Title: "Revision", Number: true, Fixed: true},
			{Title: "When", Fixed: true},
			{Title: "Who", Fixed: true},
			{Title: "What", Fixed: true},
			{Title: "Why", Fixed: true},
			{Title: "", Fixed: true, Wide: true},
		},
		Empty: frame.Empty{
			Title: "Nothing was changed yet", Text: "Each change is kept with who made it and why.",
			Code: "warren config set rpc.timeout=1s --reason 'to see it'",
		},
	}
	for _, c := range changes {
		var what []string
		for _, e := range c.GetEdits() {
			what = append(what, fmt.Sprintf("%s: %s → %s", e.GetName(), orUnset(e.Old), orUnset(e.New)))
		}
		row := frame.Row{ID: fmt.Sprintf("revision-%d", c.GetRevision()), Cells: []frame.Cell{
			frame.Text(strconv.FormatInt(c.GetRevision(), 10)), frame.At(c.GetTime().AsTime()), frame.Text(c.GetAuthor()), {Chips: what},
			frame.Text(c.GetReason()), {},
		}}
		if now > 0 {
			row.Cells[5].Actions = []frame.Link{{
				Text: "Compare", Href: fmt.Sprintf("/settings-history?from-revision=%d&to-revision=%d", c.GetRevision()-1, c.GetRevision()),
			}}
			if c.GetRevision() != now {
				row.Cells[5].Actions = append(
					row.Cells[5].Actions,
					frame.Link{Text: "Return to", Href: fmt.Sprintf("/settings-history/%d/rollback", c.GetRevision()), Asks: true, Danger: true},
				)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
