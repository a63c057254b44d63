package auth

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	shards = 16
	// maxCachedToken bounds a token that is remembered, and with the number of
	// entries the cache's memory.
	maxCachedToken = 2 << 10
)

// tokenCache remembers verified tokens. It compares them as Go's maps do: with
// a secret hash first, so that the time a lookup takes tells a guesser nothing,
// and at a fraction of what a digest would cost every call.
type tokenCache struct {
	seed   maphash.Seed
	shards [shards]tokenShard
	limit  int // entries per shard
}

type tokenShard struct {
	mu      sync.RWMutex
	entries map[string]tokenEntry
}

type tokenEntry struct {
	caller     *Caller
	generation uint64
	until      time.Time
}

func newTokenCache(size int) *tokenCache {
	c := &tokenCache{seed: maphash.MakeSeed(), limit: max(1, size/shards)}
	for i := range c.shards {
		c.shards[i].entries = map[string]tokenEntry{}
	}
	return c
}

func (c *tokenCache) shard(token string) *tokenShard {
	return &c.shards[maphash.String(c.seed, token)%shards]
}

// get returns the caller of a token verified with the keys of the generation.
func (c *tokenCache) get(token string, generation uint64, now time.Time) (Caller, bool) {
	if len(token) > maxCachedToken {
		return Caller{}, false
	}
	s := c.shard(token)
	s.mu.RLock()
	e, ok := s.entries[token]
	s.mu.RUnlock()
	if !ok || e.generation != generation || !now.Before(e.until) {
		return Caller{}, false
	}
	return *e.caller, true
}

func (c *tokenCache) put(token string, generation uint64, until time.Time, caller Caller) {
	if len(token) > maxCachedToken {
		return
	}
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.entries[token]; !known && len(s.entries) >= c.limit {
		// Any one goes: the map's order is random, and what is in use comes
		// back with its next call.
		for victim := range s.entries {
			delete(s.entries, victim)
			break
		}
	}
	s.entries[strings.Clone(token)] = tokenEntry{caller: &caller, generation: generation, until: until}
}
