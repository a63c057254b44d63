package registry

import (
	"slices"

	"github.com/gowarren/warren/registry/driver"
)

// Snapshot is what is known at one moment. It is immutable.
type Snapshot struct {
	// Instances in every state, sorted by id. They are shared: do not change them.
	Instances []Instance
	// Stale: the registry is away, and this is what it said last.
	Stale bool
	// Revision is the engine's count of changes.
	Revision int64

	contracts map[string][]Instance
}

// Contract returns the ready instances that serve a contract, as
// [Registry.Contract] does.
func (s Snapshot) Contract(name string) []Instance { return s.contracts[name] }

// next returns the snapshot that follows s. What did not change is taken over
// from s, so that callers who compare find the same values.
func (s Snapshot) next(instances []Instance, revision int64, stale bool) (snapshot *Snapshot, changed bool) {
	slices.SortFunc(instances, Instance.Compare)
	if slices.EqualFunc(s.Instances, instances, Instance.Equal) {
		return &Snapshot{s.Instances, stale, revision, s.contracts}, stale != s.Stale
	}
	before := make(map[driver.Key]int, len(s.Instances))
	for i, instance := range s.Instances {
		before[instance.Key()] = i
	}
	contracts := map[string][]Instance{}
	for i, instance := range instances {
		if j, ok := before[instance.Key()]; ok && s.Instances[j].Equal(instance) {
			instances[i] = s.Instances[j]
		}
		if instance.State != Ready {
			continue
		}
		for _, name := range instance.Contracts {
			contracts[name] = append(contracts[name], instances[i])
		}
	}
	for name, now := range contracts {
		if was := s.contracts[name]; slices.EqualFunc(was, now, Instance.Equal) {
			contracts[name] = was
		}
	}
	return &Snapshot{instances, stale, revision, contracts}, true
}
