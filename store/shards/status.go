package shards

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// Placement is where a shard is, for operators.
type Placement struct {
	Shard int
	// Database that has the shard: its URL without what is secret.
	Database string
	// Epoch counts how often the map of this shard was changed.
	Epoch int64
	// MovingTo is the database that the shard is being copied to; "" if it isn't.
	MovingTo string
	// LeftBehind is a database that has rows of the shard that are to be deleted, as
	// a move broke off at its end: Move again, or Abort, deletes them.
	LeftBehind string
	// Copied rows, and changes that wait to be copied, of a move.
	Copied, Waiting int
}

// Status tells where all shards are, as of now.
func (s *Shards) Status(ctx context.Context) ([]Placement, error) {
	if err := s.reload(ctx); err != nil {
		return nil, err
	}
	names, err := s.addresses(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Placement, s.count)
	for shard := range out {
		p, err := s.place(shard)
		if err != nil {
			return nil, err
		}
		out[shard] = Placement{Shard: shard, Database: names[p.member], Epoch: p.epoch, MovingTo: names[p.movingTo], LeftBehind: names[p.leftBehind]}
		if p.movingTo == "" {
			continue
		}
		if err := s.moving(ctx, p, &out[shard]); err != nil {
			return nil, fmt.Errorf("look how far shard %d has come: %w", shard, err)
		}
	}
	return out, nil
}

func (s *Shards) moving(ctx context.Context, p place, out *Placement) error {
	from, err := s.member(ctx, p.member)
	if err != nil {
		return err
	}
	to, err := s.member(ctx, p.movingTo)
	if err != nil {
		return err
	}
	return errors.Join(
		to.db.QueryRow(ctx, `SELECT COALESCE(SUM(copied), 0) FROM warren_shard_progress WHERE shard = ?`, out.Shard).Scan(&out.Copied),
		from.db.QueryRow(ctx, `SELECT COUNT(*) FROM warren_shard_changes WHERE shard = ?`, out.Shard).Scan(&out.Waiting),
	)
}

// addresses are the databases' URLs, fit to be shown.
func (s *Shards) addresses(ctx context.Context) (map[string]string, error) {
	rows, err := s.home.db.Query(ctx, `SELECT member, url FROM warren_shard_members`)
	if err != nil {
		return nil, fmt.Errorf("list the databases of the shards: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{}
	for rows.Next() {
		var id, address string
		if err := rows.Scan(&id, &address); err != nil {
			return nil, fmt.Errorf("list the databases of the shards: %w", err)
		}
		out[id] = shown(address)
	}
	return out, rows.Err()
}

func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a malformed URL"
	}
	u.RawQuery = ""
	return u.Redacted()
}
