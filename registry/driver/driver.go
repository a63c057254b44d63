// Package driver is what an engine must offer to be a registry. Users import
// package registry; only authors of drivers import this one, and run
// registrytest on what they wrote.
package driver

import "context"

// Driver keeps the instances of one system. The portable registry.Registry
// does the retrying, the coalescing and the remembering: a driver is the
// plain truth about its engine, errors included.
//
// Its methods may be called concurrently, but the registry runs at most one
// Watch, and one Put or Remove, at a time.
type Driver interface {
	// Put writes the instance, or replaces what was written under its service
	// and id, to be removed by the engine when this process no longer shows
	// that it lives. All instances of a process share one such session, which
	// Put starts when there is none. Put gives up when ctx ends.
	Put(ctx context.Context, instance Instance) error

	// Remove removes what Put wrote, unless another process has since
	// replaced it. Removing what is not there is no error.
	Remove(ctx context.Context, service, id string) error

	// Lost is closed when the session of the last Put has ended, and with it
	// all that was put. It is nil when nothing was put yet.
	Lost() <-chan struct{}

	// Watch calls emit with all instances, at once and whenever they change,
	// until ctx ends or it cannot know whether it still sees changes; then it
	// returns the reason. It must not stay silent about a lost engine for
	// longer than a session lasts. It may skip states, but not the last one.
	Watch(ctx context.Context, emit func(Snapshot)) error

	// Capabilities tells what this engine can do.
	Capabilities() Capabilities

	// Close ends the session and releases what the driver holds.
	Close() error
}

// Capabilities are what an engine can do beyond listing instances.
type Capabilities struct {
	// Announce: instances can be put. Without it, they are listed by others
	// (a file, a platform), and announcing is a formality.
	Announce bool
	// Expiry: an instance whose process died disappears by itself.
	Expiry bool
	// Live: changes are seen while watching.
	Live bool
}

// Snapshot is everything an engine holds at one moment.
type Snapshot struct {
	// Instances in any order. The registry keeps them; a driver must not
	// change them, or what they refer to, afterwards.
	Instances []Instance
	// Revision grows with every change, as far as the engine counts. One that
	// goes back tells that the engine has lost its memory.
	Revision int64
	// Withdrawn names the instances that were removed on purpose since the
	// snapshot before: they were draining when they were removed. Those that
	// are missing without being named have expired.
	Withdrawn []Key
	// Refused are entries that cannot be read, by their place in the engine.
	Refused map[string]error
}
