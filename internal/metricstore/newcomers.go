package metricstore

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
)

// soon is how often a target is scraped that is new.
const soon = time.Second

// newcomers are the targets that are new. The scraper spreads its targets over the
// interval, so that the first sample of one may take as long as that, and the
// second, without which there is no rate, twice as long. So a new target is
// scraped each second until an interval has passed.
type newcomers struct {
	mu       sync.Mutex // held until the scraper has taken a change
	targets  []model.LabelSet
	since    map[identity]time.Time // of all targets: when they came
	interval time.Duration          // with which they were made known
	fresh    map[identity]bool      // those that are scraped each second
	// before are targets as they were scraped last as new ones. The scraper takes
	// each for another one afterwards, of which it knows nothing at first.
	before map[identity]*scrape.Target
}

// identity is what a target has in common with itself in another list.
type identity struct {
	source

	version, address string
}

func identityOf(value func(name string) string) identity {
	return identity{source{value("service"), value(model.InstanceLabel)}, value("version"), value(model.AddressLabel)}
}

func identityOfSet(set model.LabelSet) identity {
	return identityOf(func(name string) string { return string(set[model.LabelName(name)]) })
}

// meet makes these the targets. After a change of the interval all are new: the
// scraper begins with all of them anew.
func (s *Store) meet(ctx context.Context, targets []model.LabelSet) error {
	n := &s.newcomers
	n.mu.Lock()
	defer n.mu.Unlock()
	interval, now := s.limits.Load().ScrapeInterval, time.Now()
	if interval != n.interval {
		n.since = nil
	}
	since, before, fresh := map[identity]time.Time{}, map[identity]*scrape.Target{}, map[identity]bool{}
	for _, set := range targets {
		id := identityOfSet(set)
		came, known := n.since[id]
		if !known {
			came = now
		} else if t := n.before[id]; t != nil {
			before[id] = t
		}
		since[id] = came
		if interval > soon && (!known || n.fresh[id]) {
			fresh[id] = true
		}
	}
	n.targets, n.since, n.interval, n.fresh, n.before = targets, since, interval, fresh, before
	return s.tell(ctx)
}

// tell gives the scraper its targets.
func (s *Store) tell(ctx context.Context) error {
	n := &s.newcomers
	groups := make([]*targetgroup.Group, 0, len(n.targets))
	for i, set := range n.targets {
		if n.fresh[identityOfSet(set)] {
			set = maps.Clone(set)
			set[model.ScrapeIntervalLabel] = model.LabelValue(model.Duration(soon).String())
			set[model.ScrapeTimeoutLabel] = set[model.ScrapeIntervalLabel]
		}
		groups = append(groups, &targetgroup.Group{Source: strconv.Itoa(i), Targets: []model.LabelSet{set}})
	}
	select {
	case s.targets <- map[string][]*targetgroup.Group{job: groups}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// welcome looks after new targets until they are no more.
func (s *Store) welcome(ctx context.Context) {
	ticker := time.NewTicker(soon)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.settleIn(ctx, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// settleIn has those scraped as the others whose interval has passed. Their series
// go on with the next sample, so they get no mark that they ended.
func (s *Store) settleIn(ctx context.Context, now time.Time) {
	n := &s.newcomers
	n.mu.Lock()
	defer n.mu.Unlock()
	over := map[identity]bool{}
	for id := range n.fresh {
		if now.Sub(n.since[id]) >= n.interval {
			over[id] = true
			delete(n.fresh, id)
		}
	}
	if len(over) == 0 {
		return
	}
	var changed []*scrape.Target
	for _, t := range s.scraping.TargetsActive()[job] {
		if id := identityOf(t.GetValue); over[id] {
			n.before[id] = t
			changed = append(changed, t)
		}
	}
	s.scraping.DisableEndOfRunStalenessMarkers(job, changed)
	_ = s.tell(ctx) // unless the store is being closed
}

// scraped returns the targets; those that the scraper has not reached yet as others,
// as they were as new ones.
func (s *Store) scraped() []*scrape.Target {
	n := &s.newcomers
	n.mu.Lock()
	defer n.mu.Unlock()
	out := s.scraping.TargetsActive()[job]
	for i, t := range out {
		if before := n.before[identityOf(t.GetValue)]; before != nil && t.Health() == scrape.HealthUnknown {
			out[i] = before
		}
	}
	return out
}
