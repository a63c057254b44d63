package metricstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
)

const (
	// newJob scrapes the targets that are new, until job has reached them.
	newJob = job + "-new"
	// soon is how often it does.
	soon = time.Second
)

// newcomers are the targets that the scraper has not reached yet. It spreads its
// targets over the interval, so that the first sample of one may take as long as
// that, and the second, without which there is no rate, twice as long. Until then
// a second scraper asks them each second.
type newcomers struct {
	mu       sync.Mutex // held until the scrapers have taken a change
	targets  []model.LabelSet
	known    map[identity]bool
	interval time.Duration // with which they were made known
	fresh    map[identity]bool
	arrived  chan struct{}
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
	interval := s.limits.Load().ScrapeInterval
	if interval != n.interval {
		n.known = nil
	}
	known, fresh := map[identity]bool{}, map[identity]bool{}
	for _, set := range targets {
		id := identityOfSet(set)
		known[id] = true
		if interval > soon && (n.fresh[id] || !n.known[id]) {
			fresh[id] = true
		}
	}
	n.targets, n.known, n.fresh, n.interval = targets, known, fresh, interval
	if err := s.tell(ctx); err != nil {
		return err
	}
	select {
	case n.arrived <- struct{}{}:
	default: // it is awake
	}
	return nil
}

// tell gives the scrapers their targets.
func (s *Store) tell(ctx context.Context) error {
	n := &s.newcomers
	groups := map[string][]*targetgroup.Group{job: {}, newJob: {}}
	twice := map[source]bool{}
	for i, set := range n.targets {
		group := &targetgroup.Group{Source: strconv.Itoa(i), Targets: []model.LabelSet{set}}
		groups[job] = append(groups[job], group)
		if id := identityOfSet(set); n.fresh[id] {
			groups[newJob] = append(groups[newJob], group)
			twice[id.source] = true
		}
	}
	s.gate.twice.Store(&twice)
	select {
	case s.targets <- groups:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// welcome hands new targets over, as long as there are some.
func (s *Store) welcome(ctx context.Context) {
	ticker := time.NewTicker(settle)
	defer ticker.Stop()
	for {
		select {
		case <-s.newcomers.arrived:
		case <-ctx.Done():
			return
		}
		for !s.handOver(ctx) {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// handOver ends the scraping of new targets that the ordinary scraper has
// reached, or has found as dead as they are. Their series go on with its samples,
// so they get no mark that they ended; those of a target that leaves before are
// ended by whoever scraped it.
func (s *Store) handOver(ctx context.Context) (done bool) {
	n := &s.newcomers
	n.mu.Lock()
	defer n.mu.Unlock()
	active := s.scraping.TargetsActive()
	reached := map[identity]scrape.TargetHealth{}
	for _, t := range active[job] {
		reached[identityOf(t.GetValue)] = t.Health()
	}
	var over []*scrape.Target
	for _, t := range active[newJob] {
		id := identityOf(t.GetValue)
		well := reached[id] == scrape.HealthGood
		if dead := reached[id] == scrape.HealthBad && t.Health() == scrape.HealthBad; n.fresh[id] && (well || dead) {
			over = append(over, t)
			delete(n.fresh, id)
		}
	}
	if len(over) > 0 {
		s.scraping.DisableEndOfRunStalenessMarkers(newJob, over)
		if s.tell(ctx) != nil {
			return true // the store is being closed
		}
	}
	return len(n.fresh) == 0
}

// scraped returns the targets as whoever has reached them sees them: the ordinary
// scraper if it has.
func (s *Store) scraped() []*scrape.Target {
	active := s.scraping.TargetsActive()
	first := map[identity]*scrape.Target{}
	for _, t := range active[newJob] {
		first[identityOf(t.GetValue)] = t
	}
	out := make([]*scrape.Target, 0, len(active[job]))
	for _, t := range active[job] {
		if early := first[identityOf(t.GetValue)]; early != nil && t.Health() == scrape.HealthUnknown {
			t = early
		}
		out = append(out, t)
	}
	return out
}
