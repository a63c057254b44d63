// Package redislock keeps locks in Redis.
//
// # URLs
//
//	redis://[user:password@]host:port[/db]?prefix=<system>
//	rediss://… with TLS
//
// The prefix begins every key, so that one server can serve several systems; it
// is required. Further parameters are those of the client library: dial_timeout,
// read_timeout, pool_size and so on.
//
// # Guarantees
//
// No consensus: a replica that is promoted may not know of a lock that was
// just taken, and then two holders have it. What the lock guards must refuse
// stale tokens; the tokens themselves are lost with the same failover only if
// the replica was behind on them too. Locks, renewals and releases are single
// scripts, so each is all or nothing. Time is that of the server.
package redislock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gowarren/warren/lock/driver"
)

// waitMost bounds one wait: a message that a lock is free can get lost.
const waitMost = 500 * time.Millisecond

// Each script gets the lock's key, and the key of its last token; both carry
// the same hash tag, so that a cluster keeps them on one server.
var (
	acquireScript = redis.NewScript(`
		local held = redis.call("GET", KEYS[1])
		if held and held ~= ARGV[1] then return 0 end
		local token = redis.call("INCR", KEYS[2])
		redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
		return token`)
	renewScript = redis.NewScript(`
		if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
		return redis.call("PEXPIRE", KEYS[1], ARGV[2])`)
	releaseScript = redis.NewScript(`
		if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
		redis.call("DEL", KEYS[1])
		redis.call("PUBLISH", KEYS[1], "free")
		return 1`)
)

type server struct {
	client *redis.Client
	prefix string
}

// Open returns the driver for a URL. It does not wait for the server.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	query := u.Query()
	prefix := query.Get("prefix")
	if prefix == "" {
		return nil, errors.New("parameter \"prefix\" is missing: write the name of the system, as in redis://host:6379?prefix=shop")
	}
	query.Del("prefix")
	bare := *u
	bare.RawQuery = query.Encode()
	options, err := redis.ParseURL(bare.String())
	if err != nil {
		return nil, err // it names the part that is wrong, never the password
	}
	options.MaxRetries = -1 // package lock knows better when to ask again
	return &server{client: redis.NewClient(options), prefix: prefix + ":lock:"}, nil
}

func (s *server) keys(name string) []string {
	lock := s.prefix + "{" + name + "}"
	return []string{lock, lock + ":token"}
}

func (s *server) Acquire(ctx context.Context, name, owner string, ttl time.Duration) (int64, error) {
	token, err := acquireScript.Run(ctx, s.client, s.keys(name), owner, ttl.Milliseconds()).Int64()
	if err != nil {
		return 0, s.failure(err)
	}
	if token == 0 {
		return 0, driver.ErrHeld
	}
	return token, nil
}

func (s *server) Renew(ctx context.Context, name, owner string, _ int64, ttl time.Duration) error {
	done, err := renewScript.Run(ctx, s.client, s.keys(name), owner, ttl.Milliseconds()).Int64()
	if err != nil {
		return s.failure(err)
	}
	if done == 0 {
		return driver.ErrLost
	}
	return nil
}

func (s *server) Release(ctx context.Context, name, owner string, _ int64) error {
	if err := releaseScript.Run(ctx, s.client, s.keys(name), owner).Err(); err != nil {
		return s.failure(err)
	}
	return nil
}

func (s *server) Wait(ctx context.Context, name string) error {
	sub := s.client.Subscribe(ctx, s.keys(name)[0])
	defer sub.Close()
	for {
		message, err := sub.ReceiveTimeout(ctx, waitMost)
		var late net.Error
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &late) && late.Timeout():
			return nil // it is time to look
		case err != nil:
			return s.failure(err)
		}
		if _, free := message.(*redis.Message); free {
			return nil
		}
	}
}

func (s *server) Capabilities() driver.Capabilities { return driver.Capabilities{} }

func (s *server) Close() error { return s.client.Close() }

func (s *server) failure(err error) error {
	return fmt.Errorf("redis at %s: %w", s.client.Options().Addr, err)
}
