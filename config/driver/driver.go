// Package driver is what an engine must offer so that package config can keep
// live settings in it. A driver stores bytes: what stands in them, whether they
// are whole and what they mean is decided in package config, once for all
// engines. Package configtest holds the suite that every driver must pass.
package driver

import (
	"context"
	"encoding/json"
	"errors"
)

// ErrConflict is what Publish returns (wrapped) when the document is no longer
// at the base revision: somebody else published in between.
var ErrConflict = errors.New("the settings were changed by somebody else")

// Driver keeps, for each environment, one document of settings and the history
// of its changes, and beside them the definitions that services publish. All
// methods are safe for concurrent use and end with their context.
type Driver interface {
	// Load reads the current document of an environment. An environment that
	// was never published to is the zero Document and no error.
	Load(ctx context.Context, environment string) (Document, error)

	// Watch calls deliver with the current document and then with each newer
	// one, never concurrently; documents in between may be left out, the last
	// may not. It blocks until the context ends or the engine is lost, and
	// always returns an error. The caller reconnects by calling it again.
	Watch(ctx context.Context, environment string, deliver func(Document)) error

	// Publish replaces the document and adds the record to the history in one
	// step, if the document still has the revision base; else ErrConflict.
	// The new document's revision is base+1. Both are JSON.
	Publish(ctx context.Context, environment string, base int64, document, record []byte) error

	// History returns up to limit records, newest first, none left out between them.
	History(ctx context.Context, environment string, limit int) ([][]byte, error)

	// Define adds definitions of a service, or replaces them, by the setting's
	// name; nil removes one. Those it doesn't name stay, so that instances of
	// different versions can't undo each other's.
	Define(ctx context.Context, service string, definitions map[string][]byte) error

	// Definitions returns all definitions, by service and setting.
	Definitions(ctx context.Context) (map[string]map[string][]byte, error)

	// Capabilities tells what the engine can promise.
	Capabilities() Capabilities

	// Close ends running watches and releases the engine.
	Close() error
}

// Document is a stored document: its bytes, and the revision that a Publish
// must name as its base to replace it. Data is nil where there is no document.
type Document struct {
	Revision int64
	Data     []byte
}

// Capabilities are the promises in which engines differ.
type Capabilities struct {
	// Machines: processes on other machines see the same settings.
	Machines bool
	// Replicated: the settings survive the loss of a machine.
	Replicated bool
}

// Revision reads the revision number that stands in a document, without judging
// the rest of it; 0 when the bytes are not even JSON. Engines that have no
// revision of their own use it.
func Revision(data []byte) int64 {
	var head struct {
		Revision int64 `json:"revision"`
	}
	if json.Unmarshal(data, &head) != nil {
		return 0
	}
	return head.Revision
}
