package txn

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxID       = 128 // bytes of a transaction's id in the whole system
	maxName     = 64  // bytes of the name of a saga or a step
	maxLock     = 256
	maxSteps    = 128
	maxDeadline = 7 * 24 * time.Hour // participants remember at least so long
)

// alphabet is what names are made of, for errors.
const alphabet = "lower-case letters, digits, dots, underscores and dashes, a letter first"

// globalID is unique, as a name has no slash in it.
func globalID(name, id string) string { return name + "/" + id }

func checkTransaction(name string, o options) error {
	if !goodName(name) {
		return fmt.Errorf("%q is no name for transactions; use 1 to %d "+alphabet, shortened(name), maxName)
	}
	if id := globalID(name, o.id); len(id) > maxID || !utf8.ValidString(id) {
		return fmt.Errorf("id %q: with its name it has %d bytes; use valid UTF-8, %d bytes at most", shortened(o.id), len(id), maxID)
	}
	if err := checkLocks(o.locks); err != nil {
		return err
	}
	if o.deadline < 0 || o.deadline > maxDeadline {
		return fmt.Errorf("the deadline %s is out of range; use up to %s", o.deadline, maxDeadline)
	}
	return nil
}

func checkLocks(locks []lock) error {
	for _, l := range locks {
		if l.key == "" || len(l.key) > maxLock || !utf8.ValidString(l.key) {
			return fmt.Errorf("lock %q: a key is valid UTF-8 of 1 to %d bytes", shortened(l.key), maxLock)
		}
	}
	return nil
}

func goodName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789._-", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// shortened is what an error repeats of a text that is wrong.
func shortened(s string) string {
	const enough = 80
	if len(s) > enough {
		return s[:enough] + "…"
	}
	return s
}

// misshapen returns what is wrong with the steps together.
func (s *Saga) misshapen() []error {
	switch {
	case len(s.steps) == 0:
		return []error{errors.New("it has no steps; add one with Step")}
	case len(s.steps) > maxSteps:
		return []error{fmt.Errorf("it has %d steps; make sagas of %d at most, the one started by a step of the other", len(s.steps), maxSteps)}
	}
	wrong := s.checkSteps()
	if len(wrong) > 0 {
		return wrong // the order means something once the steps do
	}
	return s.checkOrder()
}

func (s *Saga) checkSteps() (wrong []error) {
	seen := map[string]bool{}
	for _, step := range s.steps {
		switch {
		case !goodName(step.name):
			wrong = append(wrong, fmt.Errorf("step %q: the name is made of 1 to %d "+alphabet, shortened(step.name), maxName))
		case seen[step.name]:
			wrong = append(wrong, step.wrongf("there are two of that name; participants tell steps apart by it, so give each its own"))
		}
		seen[step.name] = true
		if err := checkLocks(step.locks); err != nil {
			wrong = append(wrong, step.wrongf("%w", err))
		}
		if step.timeout < 0 || step.attempts < 0 {
			wrong = append(wrong, step.wrongf("a timeout and a number of attempts are more than 0; leave them out for the defaults"))
		}
		if step.pause < 0 || step.pauseMax < step.pause {
			wrong = append(wrong, step.wrongf("its pauses go from %s to %s; give Backoff the shorter first", step.pause, step.pauseMax))
		}
		for _, before := range step.after {
			if before == nil || before.saga != s {
				wrong = append(wrong, step.wrongf("it is to come after a step that is not of this saga; give After what Step of it returned"))
			}
		}
	}
	return wrong
}

// checkOrder checks that there is a way back from everything that can fail.
func (s *Saga) checkOrder() (wrong []error) {
	before := s.ancestors()
	var pivot *Step
	for _, step := range s.steps {
		if step.pivot && pivot != nil {
			wrong = append(wrong, step.wrongf("the step %s is the pivot already; a saga succeeds at one step, so leave one Pivot out", pivot.name))
		}
		if step.pivot && pivot == nil {
			pivot = step
		}
	}
	for _, step := range s.steps {
		if step == pivot || step.method == nil {
			continue
		}
		behind := pivot != nil && before[step][pivot]
		if pivot != nil && !behind && !before[pivot][step] {
			wrong = append(wrong, step.wrongf("it is neither before the pivot %s nor after it, so nobody can say what its failure means; "+
				"put it on one side with After", pivot.name))
			continue
		}
		if !behind && !step.returns() {
			wrong = append(wrong, step.wrongf("%s has no way back; name its compensate method in its contract, mark the step as the Pivot, "+
				"put it after the pivot, or say NothingToUndo", step.method.FullName))
		}
	}
	return wrong
}

// returns tells whether the step can be undone, or needs not be.
func (s *Step) returns() bool { return s.partner.compensate != nil || s.method.Safe || s.nothing }

// ancestors lists for each step all that are done before it begins. A step only
// knows those made before it, so there are no circles.
func (s *Saga) ancestors() map[*Step]map[*Step]bool {
	all := map[*Step]map[*Step]bool{}
	for _, step := range s.steps {
		mine := map[*Step]bool{}
		for _, p := range step.predecessors() {
			mine[p] = true
			for further := range all[p] {
				mine[further] = true
			}
		}
		all[step] = mine
	}
	return all
}

// predecessors lists the steps that this one waits for itself, each once.
func (s *Step) predecessors() (out []*Step) {
	seen := map[*Step]bool{nil: true}
	add := func(p *Step) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, p := range s.after {
		add(p)
	}
	for _, b := range s.bindings {
		add(b.from)
	}
	return out
}
