package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gowarren/warren/internal/contract"
	"github.com/gowarren/warren/internal/reflected"
	"github.com/gowarren/warren/registry"
)

// cell is an atomic pointer: what requests read and changes replace.
type cell[T any] = atomic.Pointer[T]

// known is one contract as the gateway has read it. It stays known when all
// its instances are gone: its routes then say so.
type known struct {
	service *contract.Service
	set     *descriptorpb.FileDescriptorSet
	types   *dynamicpb.Types
	started time.Time // of the instance that said it
}

// catalogue follows the registry and reads the contracts of what appears.
type catalogue struct {
	registry *registry.Registry
	reader   *reflected.Reader
	logger   *slog.Logger
	snapshot string
	changed  func() // after contracts or plain routes have changed

	mu        sync.Mutex
	version   int // of contracts
	contracts map[string]*known
	seen      map[string]map[string]bool // by contract: the instances that were read
	routed    map[string][]string        // by instance: the contracts that were read, once the routes say so
	services  map[string]bool            // whose contracts are known
	unsaved   bool                       // something was read that is neither published nor saved
	first     chan struct{}              // closed when all instances of the first snapshot were asked

	methods cell[map[string]*contract.Method]
}

const (
	readTimeout = 2 * time.Second
	readRetry   = 250 * time.Millisecond
	readers     = 4
)

func newCatalogue(r *registry.Registry, reader *reflected.Reader, snapshot string, logger *slog.Logger, changed func()) *catalogue {
	c := &catalogue{
		registry: r, reader: reader, snapshot: snapshot, logger: logger, changed: changed,
		contracts: map[string]*known{}, seen: map[string]map[string]bool{},
		services: map[string]bool{}, first: make(chan struct{}),
	}
	c.methods.Store(&map[string]*contract.Method{})
	c.load()
	return c
}

// method is what rpc.ClientOptions.Methods asks for.
func (c *catalogue) method(fullName string) *contract.Method { return (*c.methods.Load())[fullName] }

// all returns the contracts known now, by name, and their version.
func (c *catalogue) all() ([]*known, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*known, 0, len(c.contracts))
	for _, name := range slices.Sorted(maps.Keys(c.contracts)) {
		out = append(out, c.contracts[name])
	}
	return out, c.version
}

// missing returns those of the services that have never been seen.
func (c *catalogue) missing(expected []string) (out []string) {
	if len(expected) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range expected {
		if !c.services[name] {
			out = append(out, name)
		}
	}
	return out
}

// follow reads contracts until ctx ends: at every change of the registry, and
// again after a while where an instance did not answer. It is over the first
// hurdle when every instance was asked once that the registry named first; one
// that does not answer must not keep the others from being served.
func (c *catalogue) follow(ctx context.Context, changes <-chan struct{}) {
	if c.registry.Ready(ctx) != nil {
		return // ctx has ended
	}
	retry := time.NewTimer(readRetry)
	defer retry.Stop()
	for first := true; ctx.Err() == nil; first = false {
		if !c.read(ctx) {
			retry.Reset(readRetry)
		}
		if first {
			close(c.first)
		}
		select {
		case <-ctx.Done():
		case <-changes:
		case <-retry.C:
		}
	}
}

// unread is a contract on an instance that has not been asked for it.
type unread struct {
	contract string
	instance registry.Instance
}

func (u unread) key() string { return u.instance.ID + "\x00" + u.instance.Started.String() }

// read asks every instance that is new for its contracts, some at a time. It
// is not complete when one did not answer.
func (c *catalogue) read(ctx context.Context) (complete bool) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, readers)
	var missed atomic.Bool
	for _, u := range c.unread() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := c.ask(ctx, u); err != nil {
				missed.Store(true)
				c.logger.Debug("contract not read", "contract", u.contract, "instance", u.instance.ID, "error", err)
			}
		})
	}
	wg.Wait()
	c.publish()
	c.changed()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routed = map[string][]string{}
	for name, instances := range c.seen {
		for key, read := range instances {
			if id, _, _ := strings.Cut(key, "\x00"); read {
				c.routed[id] = append(c.routed[id], name)
			}
		}
	}
	return !missed.Load()
}

// readContracts are the contracts that were read and are routed, by instance.
func (c *catalogue) readContracts() map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.routed)
}

func (c *catalogue) unread() []unread {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []unread
	present := map[string]map[string]bool{}
	for _, in := range c.registry.Snapshot().Instances {
		if in.State != registry.Ready || in.Address == "" {
			continue
		}
		for _, name := range in.Contracts {
			u := unread{contract: name, instance: in}
			if present[name] == nil {
				present[name] = map[string]bool{}
			}
			present[name][u.key()] = c.seen[name][u.key()]
			if !c.seen[name][u.key()] {
				out = append(out, u)
			}
		}
	}
	c.seen = present // what is gone is forgotten
	return out
}

func (c *catalogue) ask(ctx context.Context, u unread) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	set, err := c.reader.Files(ctx, u.instance.Address, u.contract)
	if err != nil {
		return err
	}
	k, err := c.build(u.contract, set)
	if err != nil {
		// Asking again would not help: the instance serves what it serves.
		c.logger.Error("contract refused", "contract", u.contract, "instance", u.instance.ID, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[u.contract][u.key()] = true
	if !c.services[u.instance.Service] {
		c.services[u.instance.Service], c.unsaved = true, true
	}
	old := c.contracts[u.contract]
	// Where instances differ, as during an update, the newest one's word counts.
	if k == nil || old != nil && (old.started.After(u.instance.Started) || proto.Equal(old.set, k.set)) {
		return nil
	}
	k.started = u.instance.Started
	c.contracts[u.contract] = k
	c.version++
	c.unsaved = true
	return nil
}

func (c *catalogue) build(name string, set *descriptorpb.FileDescriptorSet) (*known, error) {
	files, err := reflected.Link(set)
	if err != nil {
		return nil, err
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("find %s: it is no service", name)
	}
	service, err := contract.Read(sd)
	if err != nil {
		return nil, err
	}
	return &known{service: service, set: set, types: dynamicpb.NewTypes(files)}, nil
}

// publish makes what was read visible to calls and saves it: once for all that
// was read together, or a thousand contracts would be written a thousand times.
func (c *catalogue) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.unsaved {
		return
	}
	c.unsaved = false
	methods := map[string]*contract.Method{}
	for _, k := range c.contracts {
		for _, m := range k.service.Methods {
			methods[m.FullName] = m
		}
	}
	c.methods.Store(&methods)
	c.save()
}
