package driver

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Instance is one process that serves contracts. Its JSON form is what stands
// in an engine, so that a process written in any language can join.
type Instance struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Version string `json:"version,omitempty"`
	Zone    string `json:"zone,omitempty"`
	// Weight is the share of traffic relative to other instances of the
	// service; zero stands for 100 when the instance is announced.
	Weight int `json:"weight,omitempty"`
	// Host is the identity of the machine (see registry.HostIdentity): a
	// caller with the same identity may use Socket in place of Address.
	Host    string `json:"host,omitempty"`
	Address string `json:"address"`
	Socket  string `json:"socket,omitempty"`
	Admin   string `json:"admin,omitempty"`
	// Contracts are full names of protobuf services.
	Contracts []string `json:"contracts,omitempty"`
	// Routes are served as plain HTTP on Address.
	Routes           []Route           `json:"routes,omitempty"`
	State            State             `json:"state"`
	Labels           map[string]string `json:"labels,omitempty"`
	SettingsRevision int64             `json:"settings_revision,omitempty"`
	Started          time.Time         `json:"started,omitzero"`

	// Suspect: the registry says that the instance is gone, but so many went
	// at once that the registry itself is in doubt. It is a judgement of the
	// reader and never stored.
	Suspect bool `json:"-"`
}

// Route is a plain HTTP route, in the notation of http.ServeMux.
type Route struct {
	Method  string `json:"method,omitempty"`
	Pattern string `json:"pattern"`
}

// State says whether an instance takes new calls.
type State string

// An instance starts, is ready, and drains before it goes. A state that this
// version does not know is treated as not ready.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Draining State = "draining"
)

// Key names an instance in a system.
type Key struct{ Service, ID string }

// Key names the instance.
func (i Instance) Key() Key { return Key{i.Service, i.ID} }

// Compare orders instances by id, then by service.
func (i Instance) Compare(other Instance) int {
	return cmp.Or(cmp.Compare(i.ID, other.ID), cmp.Compare(i.Service, other.Service))
}

// Check tells what is missing or contradictory.
func (i Instance) Check() error {
	var errs []error
	if i.ID == "" {
		errs = append(errs, errors.New("it has no id"))
	}
	if i.Service == "" {
		errs = append(errs, errors.New("it has no service"))
	}
	if i.Address == "" {
		errs = append(errs, errors.New("it has no address"))
	}
	if i.Weight < 0 {
		errs = append(errs, fmt.Errorf("its weight %d is negative", i.Weight))
	}
	if slices.Contains(i.Contracts, "") {
		errs = append(errs, errors.New("one of its contracts has no name"))
	}
	return errors.Join(errs...)
}

// Equal tells whether two instances are the same in every field.
func (i Instance) Equal(other Instance) bool {
	return i.ID == other.ID && i.Service == other.Service && i.Version == other.Version &&
		i.Zone == other.Zone && i.Weight == other.Weight && i.Host == other.Host &&
		i.Address == other.Address && i.Socket == other.Socket && i.Admin == other.Admin &&
		i.State == other.State && i.SettingsRevision == other.SettingsRevision &&
		i.Suspect == other.Suspect && i.Started.Equal(other.Started) &&
		slices.Equal(i.Contracts, other.Contracts) && slices.Equal(i.Routes, other.Routes) &&
		maps.Equal(i.Labels, other.Labels)
}
