package txn

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
)

// Saga is a transaction made of steps, each of which is a call by contract that
// another call can undo. It is built by one goroutine; a mistake in it is kept,
// and returned by all that would send it.
type Saga struct {
	name  string
	opts  options
	steps []*Step
	wrong []error
	// prepared: the coordinator knows of it, and waits for its Message.
	prepared *message
}

// Option changes a transaction.
type Option func(*options)

type options struct {
	id       string
	deadline time.Duration
	locks    []lock
}

// lock is a key that is claimed until the transaction ends.
type lock struct {
	key  string
	wait time.Duration // 0: fail at once; less: as long as it takes
}

// ID makes the transaction the only one of its name with the id: that of an
// order, say. Submitting it again is harmless while it says the same, and
// refused when it doesn't. Without it each is one of its own.
func ID(id string) Option { return func(o *options) { o.id = id } }

// Deadline is how long the transaction may take until its pivot has succeeded,
// or until it is decided; what has not come so far by then is undone. Default: a
// saga has none, anything else the setting txn.prepare_timeout.
func Deadline(d time.Duration) Option { return func(o *options) { o.deadline = d } }

// Lock claims a key until the transaction has ended, in whichever way: no two
// that claim it run at once. All keys are claimed together before anything is
// done. Where another one has a key, this one waits in turn, for so long at
// most: with 0 not at all, with less for as long as it takes. In vain, it fails,
// and nothing was done.
func Lock(key string, wait time.Duration) Option {
	return func(o *options) { o.locks = append(o.locks, lock{key: key, wait: wait}) }
}

func readOptions(opts []Option) options {
	o := options{}
	for _, set := range opts {
		set(&o)
	}
	if o.id == "" {
		o.id = rand.Text()
	}
	return o
}

// NewSaga begins a saga. All that do the same share the name, such as
// "checkout"; it is made of lower-case letters, digits, dots and dashes.
func NewSaga(name string, opts ...Option) *Saga {
	s := &Saga{name: name, opts: readOptions(opts)}
	s.mistake(checkTransaction(name, s.opts))
	return s
}

// ID returns the transaction's id in the whole system: its name and its id,
// such as "checkout/4711".
func (s *Saga) ID() string { return globalID(s.name, s.opts.id) }

// Step adds a call. The name tells it from the saga's others, for ever: it is
// what the participant remembers. Unless options say otherwise it begins when
// the step before it is done, and is undone by the method that its contract
// names.
func (s *Saga) Step(name, fullMethod string, request proto.Message, opts ...StepOption) *Step {
	step := &Step{saga: s, name: name}
	s.steps = append(s.steps, step)
	for _, set := range opts {
		set(step)
	}
	if !step.ordered && len(s.steps) > 1 {
		step.after = append(step.after, s.steps[len(s.steps)-2])
	}
	s.mistake(step.read(fullMethod, request))
	return step
}

func (s *Saga) mistake(err error) {
	if err != nil {
		s.wrong = append(s.wrong, err)
	}
}

// Check returns what is wrong with the saga, all of it, each with its step and a
// remedy. Submit, Run and Message call it.
func (s *Saga) Check() error {
	wrong := append(s.wrong[:len(s.wrong):len(s.wrong)], s.misshapen()...)
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("saga %s: %w", s.name, errors.Join(wrong...))
}
