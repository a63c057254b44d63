package coordinator

import (
	"fmt"
	"strings"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
)

// validate tells what is wrong with a transaction beyond what its contract says.
func validate(def *txnv1.PrepareRequest) error {
	gid, name, locks := def.GetSaga().GetGid(), def.GetSaga().GetName(), def.GetSaga().GetLocks()
	for _, open := range []*txnv1.Open{def.GetTcc(), def.GetTwoPhase()} {
		if open != nil {
			gid, name, locks = open.GetGid(), open.GetName(), open.GetLocks()
		}
	}
	if err := validText(gid, name); err != nil {
		return err
	}
	for _, l := range locks {
		if err := validText(l.GetKey()); err != nil {
			return err
		}
	}
	if def.GetSaga() == nil {
		if def.GetCheck() != nil {
			return bad("only a saga depends on a local transaction")
		}
		return nil
	}
	return validSaga(def.GetSaga())
}

// validText refuses what some database cannot keep.
func validText(texts ...string) error {
	for _, s := range texts {
		if s == "" || len([]rune(s)) > 256 || strings.ContainsRune(s, 0) {
			return bad("%.40q is no name: it has 1 to 128 characters, and none of them is NUL", s)
		}
	}
	return nil
}

func bad(format string, args ...any) error {
	return refused(txnv1.Reason_BAD_TRANSACTION, "%s", fmt.Sprintf(format, args...))
}

func validSaga(saga *txnv1.Saga) error {
	steps := map[string]*txnv1.Step{}
	var pivot *txnv1.Step
	for _, step := range saga.GetSteps() {
		if err := validText(step.GetName()); err != nil {
			return err
		}
		if steps[step.GetName()] != nil {
			return bad("two steps are called %q", step.GetName())
		}
		steps[step.GetName()] = step
		for _, method := range []string{step.GetMethod(), step.GetCompensate()} {
			if method != "" && !validMethod(method) {
				return bad("step %q: %q is not the name of a method", step.GetName(), method)
			}
		}
		if step.GetPivot() {
			if pivot != nil {
				return bad("%q and %q are both the pivot", pivot.GetName(), step.GetName())
			}
			pivot = step
		}
	}
	before, err := order(saga, steps)
	if err != nil {
		return err
	}
	if err := validBindings(saga, before); err != nil {
		return err
	}
	return validPivot(saga, pivot, before)
}

func validMethod(name string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	return ok && strings.HasPrefix(name, "/") && service != "" && method != "" && !strings.Contains(method, "/")
}

// order returns which steps come before each, directly or by way of others.
func order(saga *txnv1.Saga, steps map[string]*txnv1.Step) (map[string]map[string]bool, error) {
	before := map[string]map[string]bool{}
	var visit func(step *txnv1.Step, path map[string]bool) error
	visit = func(step *txnv1.Step, path map[string]bool) error {
		name := step.GetName()
		if path[name] {
			return bad("step %q comes after itself", name)
		}
		if before[name] != nil {
			return nil
		}
		path[name] = true
		defer delete(path, name)
		all := map[string]bool{}
		for _, p := range step.GetAfter() {
			if steps[p] == nil {
				return bad("step %q comes after %q, which there is not", name, p)
			}
			if err := visit(steps[p], path); err != nil {
				return err
			}
			all[p] = true
			for earlier := range before[p] {
				all[earlier] = true
			}
		}
		before[name] = all
		return nil
	}
	for _, step := range saga.GetSteps() {
		if err := visit(step, map[string]bool{}); err != nil {
			return nil, err
		}
	}
	return before, nil
}

func validBindings(saga *txnv1.Saga, before map[string]map[string]bool) error {
	for _, step := range saga.GetSteps() {
		for _, b := range step.GetBindings() {
			if !before[step.GetName()][b.GetStep()] {
				return bad("step %q uses the answer of %q, which does not come before it", step.GetName(), b.GetStep())
			}
		}
		for _, b := range step.GetCompensateBindings() {
			if b.GetStep() != step.GetName() && !before[step.GetName()][b.GetStep()] {
				return bad("the compensation of %q uses the answer of %q, which does not come before it", step.GetName(), b.GetStep())
			}
		}
	}
	return nil
}

func validPivot(saga *txnv1.Saga, pivot *txnv1.Step, before map[string]map[string]bool) error {
	if pivot == nil {
		return nil
	}
	for _, step := range saga.GetSteps() {
		after := before[step.GetName()][pivot.GetName()]
		if step != pivot && !after && !before[pivot.GetName()][step.GetName()] {
			return bad("step %q comes neither before nor after the pivot %q", step.GetName(), pivot.GetName())
		}
		if after && len(step.GetLocks()) > 0 {
			return bad("step %q comes after the pivot and wants locks: it could not give way", step.GetName())
		}
	}
	return nil
}

func validRegistration(t *transaction, req *txnv1.RegisterRequest) error {
	if err := validText(req.GetBranch()); err != nil {
		return err
	}
	methods := []string{req.GetMethod()}
	if t.row.pattern == txnv1.Pattern_PATTERN_TCC {
		methods = append(methods, req.GetConfirm(), req.GetCancel())
	} else if req.GetService() == "" {
		return bad("branch %q: the service that prepares is not named", req.GetBranch())
	}
	for _, method := range methods {
		if !validMethod(method) {
			return bad("branch %q: %q is not the name of a method", req.GetBranch(), method)
		}
	}
	return nil
}
