package cache

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
)

// Invalidate forgets the keys here and on all other instances. Call it after
// the change is committed: what is loaded between an earlier call and the
// commit is the old value, and would be kept.
//
// An error says that other instances may not know; they find out by TTL.
func (c *Cache[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	if len(keys) == 0 {
		return nil
	}
	c.metrics.local.Add(float64(len(keys)))
	c.drop(keys)
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = format(key)
	}
	return c.publish(ctx, names)
}

// Clear forgets all keys, here and on all other instances.
func (c *Cache[K, V]) Clear(ctx context.Context) error {
	c.metrics.local.Inc()
	c.dropAll()
	return c.publish(ctx, nil)
}

func (c *Cache[K, V]) publish(ctx context.Context, keys []string) error {
	if c.opts.Invalidator == nil {
		return nil
	}
	if err := c.opts.Invalidator.Publish(ctx, c.opts.Name, keys); err != nil {
		return fmt.Errorf("invalidate %s on other instances: %w", c.opts.Name, err)
	}
	return nil
}

// onRemote does here what another instance did there.
func (c *Cache[K, V]) onRemote(names []string) {
	c.metrics.remote.Add(float64(max(len(names), 1)))
	keys := make([]K, 0, len(names))
	for _, name := range names {
		key, err := parse[K](name)
		if err != nil {
			// Another version of the service keys its cache otherwise. Which of
			// ours it means nobody can say, so all go.
			c.dropAll()
			return
		}
		keys = append(keys, key)
	}
	if len(names) == 0 {
		c.dropAll()
		return
	}
	c.drop(keys)
}

// drop forgets the keys, and what is being loaded for them: whoever asks from
// now on starts a new load.
func (c *Cache[K, V]) drop(keys []K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if f := c.flights[key]; f != nil {
			f.invalid = true
			delete(c.flights, key)
		}
		c.entries.Invalidate(key)
	}
}

func (c *Cache[K, V]) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.flights {
		f.invalid = true
	}
	clear(c.flights)
	c.entries.InvalidateAll()
}

// format names a key to other instances.
func format[K Key](key K) string {
	v := reflect.ValueOf(key)
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	}
	return v.String()
}

// parse is the inverse of format.
func parse[K Key](name string) (K, error) {
	var key K
	v := reflect.ValueOf(&key).Elem()
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(name, 10, v.Type().Bits())
		if err != nil {
			return key, fmt.Errorf("parse cache key: %w", err)
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(name, 10, v.Type().Bits())
		if err != nil {
			return key, fmt.Errorf("parse cache key: %w", err)
		}
		v.SetUint(n)
	default:
		v.SetString(name)
	}
	return key, nil
}
