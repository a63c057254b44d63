package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gowarren/warren/rpc"
	inventoryv1 "github.com/gowarren/warren/shop/api/shop/inventory/v1"
	"github.com/gowarren/warren/store"
)

const reservationColumns = `id, state, expire_time, create_time, update_time`

func scanReservation(scan func(...any) error) (reservation, error) {
	var r reservation
	err := scan(&r.id, &r.state, &r.expires, &r.created, &r.updated)
	return r, err
}

func scanLine(scan func(...any) error) (line, error) {
	var l line
	err := scan(&l.sku, &l.quantity)
	return l, err
}

// reservation returns a reservation with its lines.
func (s *stocks) reservation(ctx context.Context, id string) (reservation, error) {
	r, err := readReservation(ctx, s.db, id, "")
	if errors.Is(err, store.ErrNoRows) {
		return reservation{}, rpc.Errorf(inventoryv1.Reason_RESERVATION_NOT_FOUND, "there is no such reservation")
	}
	if err != nil {
		return reservation{}, fmt.Errorf("get reservation: %w", err)
	}
	return r, nil
}

func readReservation(ctx context.Context, q store.Querier, id, lock string) (reservation, error) {
	r, err := scanReservation(q.QueryRow(ctx, `SELECT `+reservationColumns+` FROM reservations WHERE id = ?`+lock, id).Scan)
	if err != nil {
		return reservation{}, err
	}
	r.lines, err = store.Collect(ctx, q, scanLine, `SELECT sku, quantity FROM reservation_lines WHERE reservation_id = ? ORDER BY sku`, id)
	return r, err
}

// insertReservation adds a reservation; it reports false if there is one of that
// id, which then is locked.
func insertReservation(ctx context.Context, tx *store.Tx, r reservation) (fresh bool, err error) {
	_, err = scanReservation(tx.QueryRow(ctx, `SELECT `+reservationColumns+` FROM reservations WHERE id = ? FOR UPDATE`, r.id).Scan)
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, store.ErrNoRows) {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO reservations (`+reservationColumns+`) VALUES (?, ?, ?, ?, ?)`,
		r.id, int64(r.state), r.expires, r.created, r.created)
	if err != nil {
		return false, err
	}
	for _, l := range r.lines {
		_, err := tx.Exec(ctx, `INSERT INTO reservation_lines (reservation_id, sku, quantity) VALUES (?, ?, ?)`, r.id, l.sku, l.quantity)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// reserve makes a reservation, and returns until when it holds.
func (s *stocks) reserve(ctx context.Context, r reservation, now time.Time) (expires time.Time, err error) {
	r.state, r.created = held, now
	err = s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := insertReservation(ctx, tx, r)
		if err != nil {
			return err
		}
		if fresh {
			expires = r.expires
			if err := r.checkExpiry(now); err != nil {
				return err
			}
			return move(ctx, tx, moved(inventoryv1.MovementKind_RESERVED, r.id, r.lines), now)
		}
		kept, err := readReservation(ctx, tx, r.id, "")
		if err != nil {
			return err
		}
		expires = kept.expires
		return kept.again(r.lines)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("reserve stock: %w", err)
	}
	return expires, nil
}

// once runs a transaction again if somebody else has just inserted what it
// inserts: then it finds it there.
func (s *stocks) once(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	err := s.db.InTx(ctx, fn)
	if errors.Is(err, store.ErrConflict) {
		err = s.db.InTx(ctx, fn)
	}
	return err
}

// release gives a reservation back. One that was never made is noted as given
// back: should its making come late, it is refused.
func (s *stocks) release(ctx context.Context, id string, now time.Time) error {
	err := s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		fresh, err := insertReservation(ctx, tx, reservation{id: id, state: givenBack, expires: now, created: now})
		if err != nil || fresh {
			return err
		}
		return change(ctx, tx, id, now, reservation.release)
	})
	if err != nil {
		return fmt.Errorf("release reservation: %w", err)
	}
	return nil
}

func (s *stocks) confirm(ctx context.Context, id string, now time.Time) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return change(ctx, tx, id, now, reservation.confirm)
	})
	if errors.Is(err, store.ErrNoRows) {
		return rpc.Errorf(inventoryv1.Reason_RESERVATION_NOT_FOUND, "there is no such reservation")
	}
	if err != nil {
		return fmt.Errorf("confirm reservation: %w", err)
	}
	return nil
}

// change takes a step of a reservation that is there.
func change(ctx context.Context, tx *store.Tx, id string, now time.Time, decide func(reservation) (step, error)) error {
	r, err := readReservation(ctx, tx, id, ` FOR UPDATE`)
	if err != nil {
		return err
	}
	does, err := decide(r)
	if err != nil || does.movements == nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE reservations SET state = ?, update_time = ? WHERE id = ?`, int64(does.to), now, id)
	if err != nil {
		return err
	}
	var all []movement
	for _, kind := range does.movements {
		all = append(all, moved(kind, id, r.lines)...)
	}
	return move(ctx, tx, all, now)
}

// expire ends reservations that nobody has confirmed in time, at most so many,
// and returns how many it ended. Several may do so at once.
func (s *stocks) expire(ctx context.Context, now time.Time, limit int) (int, error) {
	ids, err := store.Collect(ctx, s.db, scanText, `SELECT id FROM reservations WHERE state = ? AND expire_time <= ? ORDER BY expire_time LIMIT ?`,
		int64(held), now, limit)
	if err != nil {
		return 0, fmt.Errorf("find expired reservations: %w", err)
	}
	var errs []error
	for _, id := range ids { // one that goes wrong doesn't keep the others
		err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			return change(ctx, tx, id, now, func(r reservation) (step, error) { return r.lapse(now), nil })
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("expire reservation: %w", err))
		}
		if errors.Is(err, store.ErrUnavailable) {
			break
		}
	}
	return len(ids) - len(errs), errors.Join(errs...)
}

func scanText(scan func(...any) error) (string, error) {
	var text string
	err := scan(&text)
	return text, err
}

// restock puts back what a return brings, once.
func (s *stocks) restock(ctx context.Context, id string, lines []line, now time.Time) error {
	err := s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		var at int64
		err := tx.QueryRow(ctx, `SELECT create_time FROM returns WHERE id = ?`, id).Scan(&at)
		if err == nil {
			return sameReturn(ctx, tx, id, lines)
		}
		if !errors.Is(err, store.ErrNoRows) {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO returns (id, create_time) VALUES (?, ?)`, id, now); err != nil {
			return err
		}
		for _, l := range lines {
			if err := create(ctx, tx, now, l.sku); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `INSERT INTO return_lines (return_id, sku, quantity) VALUES (?, ?, ?)`, id, l.sku, l.quantity)
			if err != nil {
				return err
			}
		}
		return move(ctx, tx, moved(inventoryv1.MovementKind_RESTOCKED, id, lines), now)
	})
	if err != nil {
		return fmt.Errorf("restock: %w", err)
	}
	return nil
}

func sameReturn(ctx context.Context, tx *store.Tx, id string, lines []line) error {
	kept, err := store.Collect(ctx, tx, scanLine, `SELECT sku, quantity FROM return_lines WHERE return_id = ? ORDER BY sku`, id)
	if err == nil && !slices.Equal(kept, lines) {
		err = rpc.Errorf(inventoryv1.Reason_OTHER_LINES, "there is a return %q with other lines", id)
	}
	return err
}
