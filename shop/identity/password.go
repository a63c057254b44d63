package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"

	"github.com/gowarren/warren/rpc"
	identityv1 "github.com/gowarren/warren/shop/api/shop/identity/v1"
)

const (
	saltSize = 16
	hashSize = 32
)

// cost is what computing one argon2id hash takes.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// sealed is a password's hash with all that computing it again takes.
type sealed struct {
	cost
	salt, hash []byte
}

// String returns the hash in the PHC string format.
func (s sealed) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, s.memory, s.time, s.threads,
		b64.EncodeToString(s.salt), b64.EncodeToString(s.hash))
}

var errBadHash = errors.New("password hash is damaged")

// parseSealed reads the PHC string format. Its bounds keep a damaged row from
// taking all memory.
func parseSealed(text string) (sealed, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return sealed{}, errBadHash
	}
	var s sealed
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &s.memory, &s.time, &s.threads); n != 3 || err != nil {
		return sealed{}, errBadHash
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	hash, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(hash) < 16 {
		return sealed{}, errBadHash
	}
	if s.memory < 8 || s.memory > 1<<20 || s.time < 1 || s.time > 100 || s.threads < 1 {
		return sealed{}, errBadHash
	}
	s.salt, s.hash = salt, hash
	return s, nil
}

// hasher computes password hashes: as many at once as there are cores, as each
// takes one and a lot of memory. Some may wait; more are sent away at once,
// before they cost anything.
type hasher struct {
	slots    *semaphore.Weighted
	waiting  atomic.Int64
	settings *settings
	computed atomic.Int64 // hashes, ever
}

func newHasher(cores int, s *settings) *hasher {
	return &hasher{slots: semaphore.NewWeighted(int64(max(1, cores))), settings: s}
}

// cost is what a new hash takes.
func (h *hasher) cost() cost {
	return cost{memory: uint32(h.settings.memory.Get()), time: uint32(h.settings.iterations.Get()), threads: 1}
}

// seal hashes a new password.
func (h *hasher) seal(ctx context.Context, password string) (string, error) {
	s := sealed{cost: h.cost(), salt: random(saltSize)}
	var err error
	s.hash, err = h.compute(ctx, password, s, hashSize)
	return s.String(), err
}

// check tells whether the password is the one that was hashed, and whether its
// hash should be renewed. An empty hash stands for a user who does not exist:
// it costs what every hash costs, and is nobody's.
func (h *hasher) check(ctx context.Context, hash, password string) (right, stale bool, err error) {
	s := sealed{cost: h.cost(), salt: random(saltSize), hash: random(hashSize)}
	if hash != "" {
		if s, err = parseSealed(hash); err != nil {
			return false, false, err
		}
	}
	got, err := h.compute(ctx, password, s, len(s.hash))
	if err != nil {
		return false, false, err
	}
	right = subtle.ConstantTimeCompare(got, s.hash) == 1 && hash != ""
	return right, right && s.cost != h.cost(), nil
}

// compute hashes in its turn.
func (h *hasher) compute(ctx context.Context, password string, s sealed, size int) ([]byte, error) {
	if err := h.enter(ctx); err != nil {
		return nil, err
	}
	defer h.slots.Release(1)
	h.computed.Add(1)
	// Keyboards differ in how they compose a letter; the password is the same.
	text := []byte(norm.NFKC.String(password))
	return argon2.IDKey(text, s.salt, s.time, s.memory, s.threads, uint32(size)), nil
}

func (h *hasher) enter(ctx context.Context) error {
	if h.slots.TryAcquire(1) {
		return nil
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(h.settings.queue.Get()) {
		err := rpc.Errorf(identityv1.Reason_BUSY, "too many passwords are being checked at this moment")
		err.RetryAfter = time.Second
		return err
	}
	return h.slots.Acquire(ctx, 1)
}

// random returns bytes that nobody can guess.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never goes wrong: the process would end
	return b
}

// measure tells how much there is to hash.
func (h *hasher) measure(metrics prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "shop_password_hashes_total", Help: "Password hashes computed.",
		}, func() float64 { return float64(h.computed.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "shop_password_waiting", Help: "Callers who wait for a password hash.",
		}, func() float64 { return float64(h.waiting.Load()) }),
	} {
		if err := metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics of passwords: %w", err)
		}
	}
	return nil
}
