package console

import (
	"cmp"
	"fmt"
	"strconv"

	settingsv1 "github.com/gowarren/warren/api/warren/settings/v1"
	"github.com/gowarren/warren/internal/console/frame"
)

// settingActions change what holds for the system.
func (s *screens) settingActions() []frame.Action {
	return []frame.Action{
		{Name: "set", Path: "/settings/{setting}/set", Needs: frame.Admin, Ask: s.askSet, Do: func(r *frame.Request) (frame.Outcome, error) {
			value := r.PostForm.Get("value")
			return s.change(r, r.PostForm.Get("on"), &value)
		}},
		{
			Name: "unset", Path: "/settings/{setting}/unset", Needs: frame.Admin,
			Ask: func(r *frame.Request) (frame.Form, error) {
				name := r.PathValue("setting")
				return frame.Form{
					Title: "Remove the value of " + name, Submit: "Remove", Back: settingHref(name),
					Says: []string{"On " + r.Get("on") + ", what the layer below says is in force again: the system file, the contract, or the default."},
				}, nil
			},
			Do: func(r *frame.Request) (frame.Outcome, error) { return s.change(r, r.Get("on"), nil) },
		},
		{
			Name: "rollback", Path: "/settings-history/{revision}/rollback", Needs: frame.Admin, Ask: s.askRollback,
			Do: func(r *frame.Request) (frame.Outcome, error) {
				revision, err := strconv.ParseInt(r.PathValue("revision"), 10, 64)
				if err != nil {
					return frame.Outcome{}, err
				}
				c, err := s.settings.Rollback(r.Context(), &settingsv1.RollbackRequest{Revision: revision, Author: r.Caller.Name, Reason: r.Reason()})
				return frame.Outcome{
					Title: fmt.Sprintf("The values of revision %d are in force again", revision), Lines: edited(c), Back: "/settings-history",
				}, err
			},
		},
	}
}

func (s *screens) askSet(r *frame.Request) (frame.Form, error) {
	one, err := s.oneSetting(r)
	if err != nil {
		return frame.Form{}, err
	}
	on := cmp.Or(r.Get("on"), "all")
	value := one.GetDefault()
	for _, v := range one.GetValues() {
		if v.GetScope() == on {
			value = v.GetValue()
			break
		}
	}
	if one.GetSecret() {
		value = ""
	}
	field := frame.Field{Name: "value", Label: "Value", Kind: "text", Value: value, Help: one.GetType() + ", " + rangeOf(one)}
	if len(one.GetOneOf()) > 0 {
		field.Kind, field.Choices, field.Help = "choice", one.GetOneOf(), ""
	}
	if one.GetType() == "bool" {
		field.Kind, field.Choices, field.Help = "choice", []string{"true", "false"}, ""
	}
	return frame.Form{
		Title: "Change " + one.GetName(), Submit: "Change", Back: settingHref(one.GetName()),
		Says: []string{one.GetDoc() + ".", "All instances obey within moments."},
		Fields: []frame.Field{field, {
			Name: "on", Label: "Where", Kind: "text", Value: on, Help: "all, a service, a contract, or contract/method",
		}},
	}, nil
}

func (s *screens) change(r *frame.Request, on string, value *string) (frame.Outcome, error) {
	name := r.PathValue("setting")
	c, err := s.settings.Set(r.Context(), &settingsv1.SetRequest{
		Edits: []*settingsv1.Edit{{Name: name, Scope: on, New: value}}, Author: r.Caller.Name, Reason: r.Reason(),
	})
	title := fmt.Sprintf("%s is changed, in revision %d", name, c.GetRevision())
	if len(c.GetEdits()) == 0 {
		title = "It had this value already"
	}
	return frame.Outcome{Title: title, Lines: edited(c), Back: settingHref(name)}, err
}

// askRollback shows what would change.
func (s *screens) askRollback(r *frame.Request) (frame.Form, error) {
	revision, err := strconv.ParseInt(r.PathValue("revision"), 10, 64)
	if err != nil {
		return frame.Form{}, &frame.Problem{Status: 404, Title: "It is not there", Text: "There is no such revision."}
	}
	now, err := s.settings.History(r.Context(), &settingsv1.HistoryRequest{Limit: 1})
	if err != nil {
		return frame.Form{}, err
	}
	var latest int64
	if len(now.GetChanges()) > 0 {
		latest = now.GetChanges()[0].GetRevision()
	}
	diff, err := s.settings.Diff(r.Context(), &settingsv1.DiffRequest{From: latest, To: revision})
	f := frame.Form{
		Title: fmt.Sprintf("Return to revision %d", revision), Submit: "Return",
		Back: "/settings-history", Danger: true,
		Says: []string{"It becomes a new revision with the old values:"},
	}
	return withLines(f, edited(&settingsv1.Change{Edits: diff.GetEdits()})), err
}

func withLines(f frame.Form, lines []string) frame.Form {
	if lines == nil {
		lines = []string{"nothing changes"}
	}
	f.Says = append(f.Says, lines...)
	return f
}

func edited(c *settingsv1.Change) []string {
	var out []string
	for _, e := range c.GetEdits() {
		from, to := orUnset(e.Old), orUnset(e.New) //nolint:protogetter // unset is not empty
		out = append(out, fmt.Sprintf("%s on %s: %s → %s", e.GetName(), e.GetScope(), from, to))
	}
	return out
}
