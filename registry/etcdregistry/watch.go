package etcdregistry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gowarren/warren/registry/driver"
)

// page bounds one answer of etcd when all instances are listed.
const page = 500

// Watch lists the instances, then follows their changes. Any doubt (compaction,
// no leader, silence for as long as a lease) ends it: the next Watch lists anew.
func (e *etcd) Watch(ctx context.Context, emit func(driver.Snapshot)) error {
	client, err := e.client.Get()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(clientv3.WithRequireLeader(ctx))
	defer cancel(nil)
	set := &set{prefix: e.prefix, instances: map[string]driver.Instance{}, refused: map[string]error{}}
	if err := set.list(ctx, client, e.timeout); err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	emit(set.snapshot())

	watcher := clientv3.NewWatcher(client)
	defer watcher.Close()
	// The client waits for etcd to confirm a watch for as long as it takes.
	opening := time.AfterFunc(e.timeout, func() { cancel(errors.New("etcd does not confirm it")) })
	changes := watcher.Watch(ctx, e.prefix, clientv3.WithPrefix(), clientv3.WithRev(set.revision+1),
		clientv3.WithPrevKV(), clientv3.WithFragment())
	opening.Stop()
	return set.follow(ctx, watcher, changes, e.ttl, emit)
}

// asks is how often in the time of a lease etcd is asked whether it is there,
// and how many of these may go unanswered: a process that was not running for
// a while has asked once, and is not to take its own silence for etcd's.
const asks = 3

func (s *set) follow(ctx context.Context, watcher clientv3.Watcher, changes clientv3.WatchChan, ttl time.Duration, emit func(driver.Snapshot)) error {
	// The client reconnects in silence for as long as it takes. Asking for
	// progress is how the silence of a quiet system is told from that one.
	every := max(ttl/asks, 250*time.Millisecond)
	ask := time.NewTicker(every)
	defer ask.Stop()
	heard, unanswered := time.Now(), 0
	for {
		select {
		case response, ok := <-changes:
			if err := response.Err(); err != nil {
				return fmt.Errorf("watch instances: %w", err)
			}
			if !ok {
				return errors.Join(errors.New("watch instances: the stream has ended"), context.Cause(ctx))
			}
			heard, unanswered = time.Now(), 0
			if s.apply(response) {
				emit(s.snapshot())
			}
		case <-ask.C:
			if silence := time.Since(heard); silence > ttl && unanswered >= asks {
				return fmt.Errorf("watch instances: etcd is silent for %v", silence.Round(time.Millisecond))
			}
			unanswered++
			asking, done := context.WithTimeout(ctx, every)
			_ = watcher.RequestProgress(asking) // what counts is the answer
			done()
		}
	}
}

// set is what etcd holds, by key.
type set struct {
	prefix    string
	instances map[string]driver.Instance
	refused   map[string]error
	withdrawn []driver.Key
	revision  int64
}

func (s *set) list(ctx context.Context, client *clientv3.Client, timeout time.Duration) error {
	from, end := s.prefix, clientv3.GetPrefixRangeEnd(s.prefix)
	for {
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(page)}
		if s.revision != 0 {
			opts = append(opts, clientv3.WithRev(s.revision)) // all pages show one moment
		}
		asking, done := context.WithTimeout(ctx, timeout)
		response, err := client.Get(asking, from, opts...)
		done()
		if err != nil {
			return err
		}
		if s.revision == 0 {
			s.revision = response.Header.GetRevision()
		}
		for _, kv := range response.Kvs {
			s.put(string(kv.GetKey()), kv.GetValue())
		}
		if !response.More {
			return nil
		}
		from = string(response.Kvs[len(response.Kvs)-1].GetKey()) + "\x00"
	}
}

// apply takes changes in and tells whether there were any.
func (s *set) apply(response clientv3.WatchResponse) bool {
	s.revision = max(s.revision, response.Header.GetRevision())
	for _, event := range response.Events {
		key := string(event.Kv.GetKey())
		if event.Type == clientv3.EventTypePut {
			s.put(key, event.Kv.GetValue())
			continue
		}
		last, ok := s.instances[key]
		if event.PrevKv != nil { // it may be newer than what we saw
			last, _ = s.parse(key, event.PrevKv.GetValue())
			ok = true
		}
		if ok && last.State == driver.Draining {
			s.withdrawn = append(s.withdrawn, last.Key())
		}
		delete(s.instances, key)
		delete(s.refused, key)
	}
	return len(response.Events) > 0
}

func (s *set) put(key string, value []byte) {
	instance, err := s.parse(key, value)
	if err != nil {
		delete(s.instances, key)
		s.refused[key] = err
		return
	}
	delete(s.refused, key)
	s.instances[key] = instance
}

// parse trusts the key more than the value: two keys can't be one instance.
func (s *set) parse(key string, value []byte) (driver.Instance, error) {
	var instance driver.Instance
	service, id, ok := strings.Cut(strings.TrimPrefix(key, s.prefix), "/")
	if !ok || strings.Contains(id, "/") {
		return instance, errors.New("the key is not <service>/<id>")
	}
	service, serr := url.PathUnescape(service)
	id, ierr := url.PathUnescape(id)
	if err := errors.Join(serr, ierr); err != nil {
		return instance, fmt.Errorf("decode key: %w", err)
	}
	if err := json.Unmarshal(value, &instance); err != nil {
		return instance, fmt.Errorf("decode instance: %w", err)
	}
	instance.Service, instance.ID = service, id
	return instance, instance.Check()
}

func (s *set) snapshot() driver.Snapshot {
	snapshot := driver.Snapshot{
		Instances: slices.Collect(maps.Values(s.instances)),
		Revision:  s.revision,
		Withdrawn: s.withdrawn,
		Refused:   maps.Clone(s.refused),
	}
	s.withdrawn = nil
	return snapshot
}
