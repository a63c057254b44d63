package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// outgoing is a row of the outbox.
type outgoing struct {
	seq     int64
	message driver.Message
	broken  error // why it can't be published
}

func (o outgoing) order() orderKey { return orderKey{o.message.Topic, o.message.Key} }

// refusal is a row that will never be published, and why.
type refusal struct {
	row    outgoing
	reason string
}

// unsent reads what waits, in the order of publishing. It goes by state and never
// by "later than the last one": a transaction may commit after others that began
// after it, and one that stays open for hours stops nobody.
func (p *place) unsent(ctx context.Context, limit int) ([]outgoing, error) {
	rows, err := p.db.Query(ctx, `SELECT seq, id, topic, event_key, headers, payload, created_at
		FROM warren_outbox WHERE state = 0 ORDER BY seq LIMIT ?`, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []outgoing
	for rows.Next() {
		var o outgoing
		var headers string
		m := &o.message
		if err := rows.Scan(&o.seq, &m.ID, &m.Topic, &m.Key, &headers, &m.Payload, &m.Published); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(headers), &m.Headers); err != nil {
			o.broken = fmt.Errorf("its headers are damaged: %w", err)
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// lease makes this process the one that publishes, and returns the life of the
// broker that it publishes to. If that is a new one, what those before may have lost
// is published again.
func (p *place) lease(ctx context.Context) (incarnation string, err error) {
	if incarnation = p.driver.Incarnation(); incarnation == "" {
		return "", errAway
	}
	var again int64
	err = p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		again = 0
		var owner, before string
		var until time.Time
		now := time.Now()
		err := tx.QueryRow(ctx, `SELECT owner, lease_until, incarnation FROM warren_relay WHERE name = 'outbox' FOR UPDATE`).Scan(&owner, &until, &before)
		if err != nil {
			return err
		}
		if owner != "" && owner != p.owner && now.Before(until) {
			return errHeld
		}
		lives, known := lived(before, incarnation)
		moved := p.life != "" && p.life != incarnation // away from one that may have died
		if before != "" && (moved || !known) && p.can.Unsynced > 0 {
			if again, err = p.unsend(ctx, tx); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE warren_relay SET owner = ?, lease_until = ?, incarnation = ? WHERE name = 'outbox'`,
			p.owner, now.Add(leaseTime), lives)
		return err
	})
	if err != nil {
		return incarnation, err
	}
	p.life = incarnation
	if again > 0 {
		p.metrics.republished.Add(float64(again))
		p.opts.Logger.Warn("the broker was started again; what it may have lost is published once more", "events", again)
	}
	return incarnation, nil
}

// lives are kept by short names, as many as their column takes.
const (
	lifeName  = 12
	mostLives = 15
)

// lived adds a life to those that this outbox was published to, the last one at the
// end, and tells whether it is one of them. In a cluster the relays may be connected
// to different servers, each of which has a life of its own: that they take turns says
// nothing of a server that died. An earlier release kept one life only, by its own name.
func lived(before, now string) (all string, known bool) {
	list := strings.Fields(before)
	for i, life := range list {
		if len(life) != lifeName {
			list[i] = nameLife(life)
		}
	}
	name := nameLife(now)
	rest := slices.DeleteFunc(slices.Clone(list), func(life string) bool { return life == name })
	known = len(rest) < len(list)
	return strings.Join(append(rest[max(0, len(rest)+1-mostLives):], name), " "), known
}

func nameLife(incarnation string) string {
	sum := sha256.Sum256([]byte(incarnation))
	return hex.EncodeToString(sum[:lifeName/2])
}

// unsend marks as unsent what a broker that died may not have written to its disk.
// It accepted its last event not before the last one that was noted, so what was
// noted long enough before that is safe, however long ago it died.
func (p *place) unsend(ctx context.Context, tx *store.Tx) (int64, error) {
	var newest *int64
	if err := tx.QueryRow(ctx, `SELECT MAX(sent_at) FROM warren_outbox WHERE state = 1`).Scan(&newest); err != nil || newest == nil {
		return 0, err
	}
	since := time.UnixMicro(*newest).Add(-p.window())
	return tx.Exec(ctx, `UPDATE warren_outbox SET state = 0 WHERE state = 1 AND sent_at >= ?`, since)
}

// window is how long before the last event another one may have been accepted and
// lost: the broker's own time, and the time that noting takes.
func (b *Bus) window() time.Duration { return 2*b.can.Unsynced + b.limits.timeout.Get() }

// release lets others publish at once.
func (p *place) release(ctx context.Context) error {
	_, err := p.db.Exec(ctx, `UPDATE warren_relay SET owner = '', lease_until = 0 WHERE name = 'outbox' AND owner = ?`, p.owner)
	return err
}

// note records what became of rows: sent, or a dead letter of this service.
func (p *place) note(ctx context.Context, taken []int64, refused []refusal) error {
	if len(taken) == 0 && len(refused) == 0 {
		return nil
	}
	// What was accepted is noted also when the bus is about to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.limits.timeout.Get())
	defer cancel()
	return p.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		now := time.Now()
		for part := range slices.Chunk(taken, 256) {
			query, args := in(`UPDATE warren_outbox SET state = 1, sent_at = ? WHERE seq IN (`, []any{now}, part)
			if _, err := tx.Exec(ctx, query, args...); err != nil {
				return err
			}
		}
		for _, r := range refused {
			if _, err := tx.Exec(ctx, `DELETE FROM warren_outbox WHERE seq = ?`, r.row.seq); err != nil {
				return err
			}
			if err := p.bury(ctx, tx, "", "", r.row.message, 1, r.reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// in completes a query with a list. The lists have few lengths, the last number
// repeated, so that the statements stay prepared.
func in(query string, args []any, list []int64) (string, []any) {
	size := 256
	for _, n := range []int{1, 8, 64} {
		if len(list) <= n {
			size = n
			break
		}
	}
	for i := range size {
		args = append(args, list[min(i, len(list)-1)])
	}
	return query + strings.Repeat("?, ", size-1) + "?)", args
}
