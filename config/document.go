package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxDocument bounds a document, so that it and its history record fit into one
// etcd request (1.5 MiB), whatever the change: a rollback between two documents
// that have nothing in common writes the new one, its values in the record, and
// both the old and the new values as edits, which is four documents.
const maxDocument = 360 << 10

// maxReason bounds an author and a reason together. In JSON a character may
// take six bytes.
const maxReason = 4 << 10

const remedy = "a rollback to a revision in the history repairs it"

var errDocumentGone = errors.New("the settings document is gone; " + remedy)

// item is one value as a document holds it.
type item struct {
	Name   string `json:"name"`
	Scope  Scope  `json:"scope,omitzero"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"`
}

// document is all that the centre says in one environment.
type document struct {
	Revision    int64  `json:"revision"`
	Environment string `json:"environment"`
	Entries     []item `json:"entries"`
	// Sum is a SHA-256 over the rest: it tells a whole document from a
	// half-written or hand-edited one.
	Sum string `json:"sum"`
}

func (d document) encode() ([]byte, error) {
	d.Entries = slices.Clone(d.Entries)
	slices.SortFunc(d.Entries, func(a, b item) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), compareScopes(a.Scope, b.Scope))
	})
	sum, err := d.sum()
	if err != nil {
		return nil, err
	}
	d.Sum = sum
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("the settings of an environment may be %d KiB, these are %d KiB", maxDocument>>10, len(data)>>10)
	}
	return append(data, '\n'), nil
}

func (d document) sum() (string, error) {
	d.Sum = ""
	if len(d.Entries) == 0 {
		d.Entries = []item{}
	}
	data, err := json.Marshal(d)
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:]), err
}

// decode reads a document and proves that it is whole and meant for environment.
func decode(data []byte, environment string) (document, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return document{}, fmt.Errorf("read settings document: it is damaged (%w); %s", err, remedy)
	}
	sum, err := d.sum()
	switch {
	case err != nil:
		return document{}, err
	case d.Sum != sum:
		return document{}, fmt.Errorf("read settings document of revision %d: the checksum is wrong, it was damaged or edited by hand; %s", d.Revision, remedy)
	case d.Environment != environment:
		return document{}, fmt.Errorf("read settings document: it belongs to environment %q, not to %q", d.Environment, environment)
	case d.Revision < 1:
		return document{}, errors.New("read settings document: it has no revision")
	}
	return d, nil
}

func (d document) index() index {
	x := make(index, len(d.Entries))
	for _, e := range d.Entries {
		x.add(e.Name, e.Scope, found{raw: e.Value})
	}
	return x
}

func compareScopes(a, b Scope) int {
	return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Method, b.Method))
}
