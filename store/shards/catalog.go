package shards

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gowarren/warren/store"
)

const migrationSet = "warren.shards"

// admit opens a database, brings it up to date, and makes it one of the set.
func (s *Shards) admit(ctx context.Context, address string, home bool) (*member, error) {
	number := 0
	if !home {
		known, n, err := s.identify(ctx, address)
		if err != nil || known != nil {
			return known, err
		}
		number = n
	}
	opts := s.opts.Database
	opts.Name = fmt.Sprintf("%s-%d", opts.Name, number)
	db, err := store.Open(ctx, address, opts)
	if err != nil {
		return nil, err
	}
	m, err := s.join(ctx, db, home)
	if err == nil {
		err = s.prepare(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.mu.Lock()
	s.members[m.id] = m
	s.urls[m.id] = address
	if home {
		s.home = m
	}
	s.mu.Unlock()
	if s.opts.Opened != nil {
		s.opts.Opened(db)
	}
	return m, nil
}

// identify finds out which database of the set it is, and its number: all processes
// of the service call it by the same, as they talk about it.
func (s *Shards) identify(ctx context.Context, address string) (known *member, number int, err error) {
	db, err := store.Open(ctx, address, store.Options{Name: "unknown"})
	if err != nil {
		return nil, 0, err
	}
	m, err := s.join(ctx, db, false)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	known = s.members[m.id]
	s.mu.RUnlock()
	if known != nil {
		return known, 0, nil
	}
	number, err = s.number(ctx, m.id, address)
	return nil, number, err
}

// number is by what the home tells the databases apart.
func (s *Shards) number(ctx context.Context, id, address string) (number int, err error) {
	err = s.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var one int // one at a time: the row is everybody's
		if err := tx.QueryRow(ctx, `SELECT one FROM warren_shard_set WHERE one = 1 FOR UPDATE`).Scan(&one); err != nil {
			return err
		}
		// Not in one statement: MariaDB refuses MAX beside placeholders when it runs a
		// prepared statement again.
		var next int
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(number), 0) + 1 FROM warren_shard_members`).Scan(&next); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO warren_shard_members (member, url, number) VALUES (?, ?, ?) ON CONFLICT (member) DO NOTHING`, id, address, next)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT number FROM warren_shard_members WHERE member = ?`, id).Scan(&number)
	})
	if err != nil {
		return 0, fmt.Errorf("number database %s of the shards: %w", id, err)
	}
	return number, nil
}

// join finds out, or decides, what a database is in the set.
func (s *Shards) join(ctx context.Context, db *store.DB, home bool) (*member, error) {
	if err := db.MigrateSet(ctx, migrationSet, migrations); err != nil {
		return nil, err
	}
	m := &member{db: db}
	err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		setID := s.setID
		if home {
			setID = rand.Text()
		}
		_, err := tx.Exec(ctx, `INSERT INTO warren_shard_set (one, set_id, member, home, shards) VALUES (1, ?, ?, ?, ?)
			ON CONFLICT (one) DO NOTHING`, setID, rand.Text(), home, s.shards())
		if err != nil {
			return err
		}
		var is struct {
			set   string
			home  bool
			count int
		}
		err = tx.QueryRow(ctx, `SELECT set_id, member, home, shards FROM warren_shard_set WHERE one = 1`).Scan(&is.set, &m.id, &is.home, &is.count)
		switch {
		case err != nil:
			return err
		case home && !is.home:
			return errors.New("the database is not the home of its set of databases: name the home first")
		case !home && is.set != s.setID:
			return errors.New("the database belongs to another set of databases")
		}
		if home { // before anybody else sees it
			s.setID, s.count = is.set, is.count
		}
		return nil
	})
	return m, err
}

// shards is how many there are, or shall be.
func (s *Shards) shards() int {
	if s.count > 0 {
		return s.count
	}
	return s.opts.Shards
}

// prepare brings the schema up to date.
func (s *Shards) prepare(ctx context.Context, db *store.DB) error {
	if s.opts.Migrations != nil {
		if err := db.Migrate(ctx, s.opts.Migrations); err != nil {
			return err
		}
	}
	if s.opts.Prepare != nil {
		if err := s.opts.Prepare(ctx, db); err != nil {
			return err
		}
	}
	for _, t := range s.opts.Tables {
		if err := t.migrate(ctx, db); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return nil
}

// register tells the home of databases that it may not know, and draws the map if
// there is none.
func (s *Shards) register(ctx context.Context, listed []string) error {
	return s.home.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// One at a time: the row is everybody's.
		var one int
		if err := tx.QueryRow(ctx, `SELECT one FROM warren_shard_set WHERE one = 1 FOR UPDATE`).Scan(&one); err != nil {
			return err
		}
		for _, id := range listed {
			s.mu.RLock()
			address := s.urls[id]
			s.mu.RUnlock()
			if err := remember(ctx, tx, id, address); err != nil {
				return err
			}
		}
		var there int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM warren_shard_map`).Scan(&there); err != nil || there > 0 {
			return err
		}
		for shard := range s.count {
			_, err := tx.Exec(ctx, `INSERT INTO warren_shard_map (shard, member, epoch, moving_to, left_behind) VALUES (?, ?, 1, '', '')`,
				shard, listed[shard%len(listed)])
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func remember(ctx context.Context, tx *store.Tx, id, address string) error {
	_, err := tx.Exec(ctx, `INSERT INTO warren_shard_members (member, url, number) VALUES (?, ?, 0) ON CONFLICT (member) DO UPDATE SET url = excluded.url`,
		id, address)
	return err
}

// reload reads the map.
func (s *Shards) reload(ctx context.Context) error {
	places := make([]place, s.count)
	rows, err := s.home.db.Query(ctx, `SELECT shard, member, epoch, moving_to, left_behind FROM warren_shard_map`)
	if err != nil {
		return fmt.Errorf("read the map of shards: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var shard int
		var p place
		if err := rows.Scan(&shard, &p.member, &p.epoch, &p.movingTo, &p.leftBehind); err != nil {
			return fmt.Errorf("read the map of shards: %w", err)
		}
		if shard < 0 || shard >= s.count {
			return fmt.Errorf("read the map of shards: shard %d of %d", shard, s.count)
		}
		places[shard] = p
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the map of shards: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for shard, p := range places {
		if len(s.places) != 0 && p.epoch < s.places[shard].epoch {
			places[shard] = s.places[shard] // two that read it at once end in any order
		}
	}
	s.places = places
	return nil
}

// place is where the shard is, by the map as it is known here.
func (s *Shards) place(shard int) (place, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if shard < 0 || shard >= len(s.places) {
		return place{}, fmt.Errorf("there is no shard %d: they are 0 to %d", shard, len(s.places)-1)
	}
	return s.places[shard], nil
}

func (s *Shards) where(ctx context.Context, shard int) (place, *member, error) {
	p, err := s.place(shard)
	if err != nil {
		return p, nil, err
	}
	m, err := s.member(ctx, p.member)
	return p, m, err
}

// member returns a database that the map names, opened if this process doesn't
// have it yet.
func (s *Shards) member(ctx context.Context, id string) (*member, error) {
	s.mu.RLock()
	m := s.members[id]
	s.mu.RUnlock()
	if m != nil {
		return m, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	var address string
	err := s.home.db.QueryRow(ctx, `SELECT url FROM warren_shard_members WHERE member = ?`, id).Scan(&address)
	if err != nil {
		return nil, fmt.Errorf("find database %s of the shards: %w", id, err)
	}
	m, err = s.admit(ctx, address, false)
	if err != nil {
		return nil, fmt.Errorf("open database %s of the shards: %w", id, err)
	}
	if m.id != id {
		return nil, fmt.Errorf("open database %s of the shards: its URL leads to %s", id, m.id)
	}
	return m, nil
}

// owners lists the databases that have shards.
func (s *Shards) owners() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	ids := map[string]bool{}
	for _, p := range s.places {
		ids[p.member] = true
	}
	return slices.Sorted(maps.Keys(ids))
}
