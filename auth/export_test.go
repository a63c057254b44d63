package auth

// Cached returns how many verified tokens are remembered.
func (v *Verifier) Cached() int {
	n := 0
	for i := range v.cache.shards {
		s := &v.cache.shards[i]
		s.mu.RLock()
		n += len(s.entries)
		s.mu.RUnlock()
	}
	return n
}
