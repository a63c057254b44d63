package txn

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/internal/contract"
)

// Step is a call of a saga. It names where later steps begin, and where their
// requests get values from.
type Step struct {
	saga    *Saga
	name    string
	method  *contract.Method // nil: unknown, which is an error of the saga
	partner partners
	request []byte

	ordered    bool // its predecessors were given
	after      []*Step
	pivot      bool
	nothing    bool // there is nothing to undo
	timeout    time.Duration
	attempts   int
	pause      time.Duration
	pauseMax   time.Duration
	bindings   []binding
	undoFields []binding
	locks      []lock
}

// StepOption changes a step.
type StepOption func(*Step)

// After has the step begin when all of the given ones are done, instead of only
// the one before it. Without any it begins with the saga. Steps of which none
// waits for the other run at once.
func After(steps ...*Step) StepOption {
	return func(s *Step) {
		s.ordered = true
		s.after = append(s.after, steps...)
	}
}

// Pivot marks the step with which the saga has succeeded. Until then a failure
// undoes what was done; from then on everything is carried through, however
// often it has to be tried, and needs no way back. All other steps are before
// it or after it.
func Pivot() StepOption { return func(s *Step) { s.pivot = true } }

// NothingToUndo says that the step needs no way back though it comes before the
// pivot. A method without side effects says so itself.
func NothingToUndo() StepOption { return func(s *Step) { s.nothing = true } }

// Timeout bounds one call of the step. Default: that of the method.
func Timeout(d time.Duration) StepOption { return func(s *Step) { s.timeout = d } }

// Attempts is how often the step is called, while nobody knows whether it
// succeeded, before the saga is undone; after the pivot, and when it is undone,
// before the saga is parked for somebody to look at. Default: the setting
// txn.attempts.
func Attempts(n int) StepOption { return func(s *Step) { s.attempts = n } }

// Backoff is the longest pause after the first call that did not succeed, which
// doubles with each further one, and where the doubling ends. Default: the
// settings txn.backoff.base and txn.backoff.max.
func Backoff(first, most time.Duration) StepOption {
	return func(s *Step) { s.pause, s.pauseMax = first, most }
}

// StepLock claims a key before the step begins and until the saga has ended. It
// is for what is only known on the way; prefer [Lock], which cannot deadlock.
func StepLock(key string, wait time.Duration) StepOption {
	return func(s *Step) { s.locks = append(s.locks, lock{key: key, wait: wait}) }
}

// Bind fills a field of the step's request from a field of an earlier step's
// answer, both given as paths such as "payment_id" or "shipment.address.zip".
// They have to be of one kind. The step then waits for that one, too.
func Bind(field string, from *Step, answer string) StepOption {
	return func(s *Step) {
		s.bindings = append(s.bindings, binding{field: field, from: from, answer: answer})
	}
}

// BindUndo fills a field of the request that undoes the step from a field of
// the step's own answer. Where no answer was received it stays as the step's
// request has it.
func BindUndo(field, answer string) StepOption {
	return func(s *Step) { s.undoFields = append(s.undoFields, binding{field: field, from: s, answer: answer}) }
}

// partners are the methods that end what a step began, by full name.
type partners struct{ compensate, confirm, cancel *contract.Method }

// read resolves what the step calls.
func (s *Step) read(fullMethod string, request proto.Message) (err error) {
	if s.method, s.partner, err = findMethod(fullMethod); err != nil {
		return s.wrongf("%w", err)
	}
	if path := contract.SecretIn(s.method.Desc.Output()); path != "" {
		return s.wrongf("%s answers with the secret field %s, and the coordinator keeps answers, for operators to see; "+
			"give the contract a method whose answer has none", s.method.FullName, path)
	}
	if s.request, err = encode(s.method, request); err != nil {
		return s.wrongf("%w", err)
	}
	if err := s.bind(request); err != nil {
		return err
	}
	return s.bindUndo()
}

func (s *Step) wrongf(format string, args ...any) error {
	return fmt.Errorf("step "+s.name+": "+format, args...)
}
