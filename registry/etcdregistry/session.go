package etcdregistry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is the one lease of this process, kept alive by one stream.
type session struct {
	id     clientv3.LeaseID
	lost   chan struct{}
	lessor clientv3.Lease
	cancel context.CancelFunc
	once   sync.Once
}

// open returns the session, or starts one when there is none or it has ended.
func (e *etcd) open(ctx context.Context, client *clientv3.Client) (*session, error) {
	e.mu.Lock()
	current := e.session
	e.mu.Unlock()
	if current != nil {
		select {
		case <-current.lost:
		default:
			return current, nil
		}
	}
	// A lessor whose stream was once refused stays dead, so each session has
	// one of its own.
	lessor := clientv3.NewLease(client)
	grant, err := lessor.Grant(ctx, int64(e.ttl.Seconds()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a lease: %w", err), lessor.Close())
	}
	background, cancel := context.WithCancel(context.Background())
	beats, err := lessor.KeepAlive(background, grant.ID)
	if err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("keep a lease alive: %w", err), lessor.Close())
	}
	next := &session{id: grant.ID, lost: make(chan struct{}), lessor: lessor, cancel: cancel}
	go func() {
		for range beats { // closed when the lease is gone, or was not renewed in its time
		}
		next.end()
	}()
	e.mu.Lock()
	e.session = next
	e.mu.Unlock()
	return next, nil
}

// end gives the session up.
func (s *session) end() {
	s.once.Do(func() {
		s.cancel()
		_ = s.lessor.Close() // it reports no more than that it was cancelled
		close(s.lost)
	})
}

// revoke ends the session in etcd, too.
func (s *session) revoke(ctx context.Context) error {
	select {
	case <-s.lost:
		return nil
	default:
	}
	_, err := s.lessor.Revoke(ctx, s.id)
	s.end()
	if err != nil && !isLeaseGone(err) {
		return fmt.Errorf("end a lease: %w", err)
	}
	return nil
}

func isLeaseGone(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }
