// Package staticregistry is a registry that is a list: for tests, and for
// deployments whose processes stand at fixed addresses.
//
// # URLs
//
// A file, read again when it changes:
//
//	static:///etc/warren/instances.yaml?reload=1s
//	static:instances.yaml
//
// with one entry per instance, in the fields of registry.Instance:
//
//	instances:
//	  - service: catalog
//	    address: 10.0.0.7:9000
//	    contracts: [shop.catalog.v1.CatalogService]
//	    zone: eu-1
//
// Or the list itself, service@address=contract,contract, once per instance:
//
//	static:?instance=catalog@10.0.0.7:9000=shop.catalog.v1.CatalogService
//
// An entry without an id gets service/n, in the order of the list; one without
// a state is ready. Announcing to such a registry is a formality: who is in it
// says the list.
package staticregistry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gowarren/warren/internal/openurl"
	"github.com/gowarren/warren/registry/driver"
)

// Open opens the list at u. A mistake in the list is an error now; one that is
// made later leaves the list as it was.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	params := openurl.NewParams(u)
	s := &static{path: u.Path + u.Opaque, reload: params.Duration("reload", time.Second)}
	inline := params.Strings("instance")
	if err := params.Err(); err != nil {
		return nil, err
	}
	var err error
	switch {
	case u.Host != "":
		return nil, fmt.Errorf("a static registry has no host; for a file, write static:///%s%s", u.Host, u.Path)
	case s.path != "" && len(inline) > 0:
		return nil, errors.New("instances are listed twice: in a file and in the URL")
	case s.path != "":
		s.content, s.instances, err = load(s.path)
	default:
		s.instances, err = parseInline(inline)
	}
	if err != nil {
		return nil, err
	}
	if s.reload <= 0 {
		return nil, errors.New(`parameter "reload" must be more than zero`)
	}
	return s, nil
}

// New returns a registry that lists the instances, which are given an id and a
// state as in a file.
func New(instances ...driver.Instance) (driver.Driver, error) {
	list := append([]driver.Instance(nil), instances...)
	if err := complete(list); err != nil {
		return nil, err
	}
	return &static{instances: list}, nil
}

type static struct {
	path      string
	reload    time.Duration
	content   []byte
	instances []driver.Instance
}

// Watch emits the list, and each new list that the file comes to hold.
func (s *static) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	content, instances, revision := s.content, s.instances, int64(1)
	emit(driver.Snapshot{Instances: instances, Revision: revision})
	if s.path == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(s.reload)
	defer tick.Stop()
	problem := ""
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		next, list, err := load(s.path)
		switch {
		case err != nil && err.Error() == problem, err == nil && problem == "" && bytes.Equal(next, content):
			continue
		case err != nil:
			problem = err.Error()
			emit(driver.Snapshot{Instances: instances, Revision: revision, Refused: map[string]error{s.path: err}})
			continue
		}
		revision++
		emit(driver.Snapshot{Instances: list, Revision: revision, Withdrawn: keys(instances)})
		content, instances, problem = next, list, ""
	}
}

// keys: whoever leaves the list was taken from it on purpose.
func keys(instances []driver.Instance) []driver.Key {
	keys := make([]driver.Key, len(instances))
	for i, instance := range instances {
		keys[i] = instance.Key()
	}
	return keys
}

// Put and Remove do nothing: the list is made by others.
func (s *static) Put(context.Context, driver.Instance) error   { return nil }
func (s *static) Remove(context.Context, string, string) error { return nil }
func (s *static) Lost() <-chan struct{}                        { return nil }
func (s *static) Close() error                                 { return nil }
func (s *static) Capabilities() driver.Capabilities            { return driver.Capabilities{Live: s.path != ""} }

func load(path string) ([]byte, []driver.Instance, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read list of instances: %w", err)
	}
	var file struct {
		Instances []driver.Instance `json:"instances"`
	}
	if err := yaml.UnmarshalWithOptions(content, &file, yaml.Strict()); err != nil {
		return nil, nil, fmt.Errorf("read list of instances %s: %w", path, err)
	}
	if err := complete(file.Instances); err != nil {
		return nil, nil, fmt.Errorf("read list of instances %s: %w", path, err)
	}
	return content, file.Instances, nil
}

func parseInline(texts []string) ([]driver.Instance, error) {
	list := make([]driver.Instance, 0, len(texts))
	for _, text := range texts {
		service, rest, at := strings.Cut(text, "@")
		address, contracts, is := strings.Cut(rest, "=")
		if !at || !is || contracts == "" {
			return nil, fmt.Errorf("instance %q is not service@address=contract,contract", text)
		}
		list = append(list, driver.Instance{Service: service, Address: address, Contracts: strings.Split(contracts, ",")})
	}
	return list, complete(list)
}

// complete fills in ids and states, and checks every entry.
func complete(list []driver.Instance) error {
	var errs []error
	count := map[string]int{}
	seen := map[driver.Key]int{}
	for i := range list {
		instance := &list[i]
		count[instance.Service]++
		if instance.ID == "" {
			instance.ID = fmt.Sprintf("%s/%d", instance.Service, count[instance.Service])
		}
		if instance.State == "" {
			instance.State = driver.Ready
		}
		if instance.Weight == 0 {
			instance.Weight = 100
		}
		if err := instance.Check(); err != nil {
			errs = append(errs, fmt.Errorf("instance %d (%s %s): %w", i+1, instance.Service, instance.Address, err))
		}
		if first, twice := seen[instance.Key()]; twice {
			errs = append(errs, fmt.Errorf("instance %d has the id %s of instance %d", i+1, instance.ID, first))
		}
		seen[instance.Key()] = i + 1
	}
	return errors.Join(errs...)
}
