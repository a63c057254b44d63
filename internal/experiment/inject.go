package experiment

import (
	"cmp"
	"context"
	"fmt"
	"time"

	observev1 "github.com/gowarren/warren/api/warren/observe/v1"
	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/internal/fault"
)

// Inject writes the fault of an experiment, which has a name and an end, where
// processes find it. One that kills is written nowhere.
func Inject(ctx context.Context, centre *config.Centre, e *observev1.Experiment) error {
	return rewrite(ctx, centre, e, e.GetAuthor(), fmt.Sprintf("experiment %s: %s", e.GetName(), e.GetReason()), true)
}

// Withdraw takes the fault of an experiment back; the history of the settings
// keeps who has done so, and why.
func Withdraw(ctx context.Context, centre *config.Centre, e *observev1.Experiment, author, reason string) error {
	return rewrite(ctx, centre, e, cmp.Or(author, e.GetAuthor()), fmt.Sprintf("end of experiment %s: %s", e.GetName(), reason), false)
}

// rewrite changes the one setting of the experiment's fault: others may have
// theirs in the same place. Two at once would undo each other.
func rewrite(ctx context.Context, centre *config.Centre, e *observev1.Experiment, author, reason string, add bool) error {
	name, scope, f, ok := setting(e)
	if !ok {
		return nil
	}
	_, entries, err := centre.Get(ctx)
	if err != nil {
		return err
	}
	var now []fault.Fault
	for _, entry := range entries {
		if entry.Name == name && entry.Scope == scope {
			now, _ = fault.Parse(entry.Value) // what can't be read is nobody's fault
		}
	}
	next := fault.Without(now, e.GetName(), time.Now())
	if add {
		next = append(next, f)
	}
	edit := config.Edit{Name: name, Scope: scope}
	if value := fault.Format(next); value != "" {
		edit.New = &value
	}
	_, err = centre.Set(ctx, []config.Edit{edit}, cmp.Or(author, "unknown"), reason)
	return err
}
