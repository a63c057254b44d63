package idempotency

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gowarren/warren/auth"
	"github.com/gowarren/warren/store"
)

const (
	stateRunning = "running"
	stateDone    = "done"
	// grace is what a claim outlasts the deadline of its call by: the commit may
	// be on its way still.
	grace = time.Second
)

// claim is the right to answer a call, which one call at a time has.
type claim struct {
	id      string // of method, caller and key
	shard   int
	method  string
	request string // its checksum, without secrets
	owner   string // fences: who lost the claim finds another name
}

// found is what is kept under a key.
type found struct {
	claimed bool
	request string
	state   string
	answer  []byte
	until   time.Time
}

func newClaim(ctx context.Context, fullMethod, key string, db Database, req proto.Message) (claim, error) {
	request, err := checksum(req)
	if err != nil {
		return claim{}, fmt.Errorf("encode request of %s: %w", fullMethod, err)
	}
	caller := auth.FromContext(ctx)
	kind, name := "user", caller.Subject
	if caller.Anonymous() {
		kind, name = "service", caller.Service
	}
	return claim{
		id: digest(fullMethod, kind, caller.Issuer, name, key), shard: shardOf(db), method: fullMethod[1:],
		request: request, owner: rand.Text(),
	}, nil
}

// digest names several texts together; no two lists of texts have the same.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// take claims the key, or tells what is kept under it. A claim whose time is over
// belonged to a process that died, or that is too late to commit anything.
func (c claim) take(ctx context.Context, db Database, lease time.Duration) (f found, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		f = found{}
		now := time.Now()
		until := now.Add(lease)
		inserted, err := tx.Exec(ctx, `INSERT INTO warren_idempotency (id, shard, method, request, state, owner, until_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, c.id, c.shard, c.method, c.request, stateRunning, c.owner, until)
		if err != nil {
			return err
		}
		if inserted == 1 {
			f.claimed = true
			return nil
		}
		err = tx.QueryRow(ctx, `SELECT request, state, answer, until_at FROM warren_idempotency WHERE id = ? FOR UPDATE`, c.id).
			Scan(&f.request, &f.state, &f.answer, &f.until)
		if err != nil {
			return err
		}
		if now.Before(f.until) && (f.state == stateDone || f.state == stateRunning) {
			return nil
		}
		// Over: the claim of who died, or an answer that is kept no longer.
		_, err = tx.Exec(ctx, `UPDATE warren_idempotency SET request = ?, state = ?, owner = ?, answer = NULL, until_at = ? WHERE id = ?`,
			c.request, stateRunning, c.owner, until, c.id)
		f.claimed = true
		return err
	})
	return f, err
}

// keep stores the answer, in the transaction of the work if there is one. It is
// refused when the claim is another's.
func (c claim) keep(ctx context.Context, tx *store.Tx, answer []byte, until time.Time) error {
	touched, err := tx.Exec(ctx, `UPDATE warren_idempotency SET state = ?, answer = ?, until_at = ? WHERE id = ? AND owner = ? AND state = ?`,
		stateDone, answer, until, c.id, c.owner, stateRunning)
	if err == nil && touched != 1 {
		return errTaken
	}
	return err
}

// release gives the key up, so that the next call needn't wait.
func (c claim) release(ctx context.Context, db Database) error {
	return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM warren_idempotency WHERE id = ? AND owner = ? AND state = ?`, c.id, c.owner, stateRunning)
		return err
	})
}
