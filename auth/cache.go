package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

const shards = 16

// tokenCache remembers verified tokens by their digest, so that it neither
// holds tokens nor grows with their size.
type tokenCache struct {
	shards [shards]tokenShard
	limit  int // entries per shard
}

type tokenShard struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]tokenEntry
}

type tokenEntry struct {
	caller     *Caller
	generation uint64
	until      time.Time
}

func newTokenCache(size int) *tokenCache {
	c := &tokenCache{limit: max(1, size/shards)}
	for i := range c.shards {
		c.shards[i].entries = map[[sha256.Size]byte]tokenEntry{}
	}
	return c
}

// get returns the caller of a token verified with the keys of the generation.
func (c *tokenCache) get(id [sha256.Size]byte, generation uint64, now time.Time) (Caller, bool) {
	s := &c.shards[id[0]%shards]
	s.mu.RLock()
	e, ok := s.entries[id]
	s.mu.RUnlock()
	if !ok || e.generation != generation || !now.Before(e.until) {
		return Caller{}, false
	}
	return *e.caller, true
}

func (c *tokenCache) put(id [sha256.Size]byte, generation uint64, until time.Time, caller Caller) {
	s := &c.shards[id[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.entries[id]; !known && len(s.entries) >= c.limit {
		// Any one goes: the map's order is random, and what is in use comes
		// back with its next call.
		for victim := range s.entries {
			delete(s.entries, victim)
			break
		}
	}
	s.entries[id] = tokenEntry{caller: &caller, generation: generation, until: until}
}
