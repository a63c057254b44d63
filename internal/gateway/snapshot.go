package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gowarren/warren/internal/wholefile"
)

// The contracts are kept on disk, so that a gateway that starts before its
// services knows what it will serve and says 503 instead of 404.

// saved is the file's content.
type saved struct {
	Contracts map[string][]byte `json:"contracts"` // FileDescriptorSets by contract
	Services  []string          `json:"services"`  // that were seen
}

func (c *catalogue) load() {
	if c.snapshot == "" {
		return
	}
	contracts, services, err := readSnapshot(c.snapshot)
	if err != nil {
		c.logger.Warn("contracts of the last run not read", "error", err)
		return
	}
	for _, name := range services {
		c.services[name] = true
	}
	for name, set := range contracts {
		k, err := c.build(name, set)
		if err != nil {
			c.logger.Warn("contract of the last run refused", "contract", name, "error", err)
			continue
		}
		c.contracts[name], c.unsaved = k, true
	}
	c.publish()
}

func readSnapshot(path string) (contracts map[string]*descriptorpb.FileDescriptorSet, services []string, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read contracts: %w", err)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, nil, fmt.Errorf("read contracts from %s: %w", path, err)
	}
	contracts = map[string]*descriptorpb.FileDescriptorSet{}
	for name, bytes := range s.Contracts {
		set := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(bytes, set); err != nil {
			return nil, nil, fmt.Errorf("read contract %s from %s: %w", name, path, err)
		}
		contracts[name] = set
	}
	return contracts, s.Services, nil
}

// save never stops a request: a disk that is full costs the next start its
// memory, and is logged.
func (c *catalogue) save() {
	if c.snapshot == "" {
		return
	}
	if err := c.writeSnapshot(); err != nil {
		c.logger.Warn("contracts not saved", "error", err)
	}
}

func (c *catalogue) writeSnapshot() error {
	s := saved{Contracts: map[string][]byte{}, Services: slices.Sorted(maps.Keys(c.services))}
	for name, k := range c.contracts {
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(k.set)
		if err != nil {
			return fmt.Errorf("save contract %s: %w", name, err)
		}
		s.Contracts[name] = bytes
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("save contracts: %w", err)
	}
	if err := wholefile.Write(c.snapshot, data); err != nil {
		return fmt.Errorf("save contracts: %w", err)
	}
	return nil
}
