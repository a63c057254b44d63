package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	shippingv1 "github.com/gowarren/warren/shop/api/shop/shipping/v1"
	"github.com/gowarren/warren/store"
	"github.com/gowarren/warren/telemetry"
)

//go:embed migrations/*.sql
var migrations embed.FS

// shipments are the shipments in the database.
type shipments struct {
	db     *store.DB
	tracer *telemetry.Tracer
	// tell has others told, in the transaction, of a shipment that has come on.
	tell func(ctx context.Context, tx *store.Tx, s shipment) error
}

func newShipments(db *store.DB, tracer *telemetry.Tracer) *shipments {
	return &shipments{db: db, tracer: tracer, tell: tell}
}

const columns = `id, order_id, customer_id, state, dispatched, name, street, city, postal_code, country_code, tracking_number,
	attempts, moving, next_time, trace, create_time, update_time`

func scanShipment(scan func(...any) error) (shipment, error) {
	var s shipment
	a := &s.address
	err := scan(&s.id, &s.order, &s.customer, &s.state, &s.dispatched, &a.name, &a.street, &a.city, &a.postalCode, &a.country,
		&s.trackingNumber, &s.attempts, &s.moving, &s.next, &s.trace, &s.created, &s.updated)
	return s, err
}

// read returns a shipment with its lines, or store.ErrNoRows; forUpdate keeps
// others from changing it until the transaction ends.
func read(ctx context.Context, q store.Querier, id, lock string) (shipment, error) {
	s, err := scanShipment(q.QueryRow(ctx, `SELECT `+columns+` FROM shipments WHERE id = ?`+lock, id).Scan)
	if err != nil {
		return shipment{}, err
	}
	s.lines, err = linesOf(ctx, q, id)
	return s, err
}

const forUpdate = ` FOR UPDATE`

func linesOf(ctx context.Context, q store.Querier, id string) ([]line, error) {
	return store.Collect(ctx, q, func(scan func(...any) error) (line, error) {
		var l line
		err := scan(&l.sku, &l.quantity)
		return l, err
	}, `SELECT sku, quantity FROM shipment_lines WHERE shipment_id = ? ORDER BY position`, id)
}

// find returns the shipment of an id, if there is one.
func (s *shipments) find(ctx context.Context, id string) (found shipment, there bool, err error) {
	found, err = read(ctx, s.db, id, "")
	if errors.Is(err, store.ErrNoRows) {
		return shipment{}, false, nil
	}
	if err != nil {
		return shipment{}, false, fmt.Errorf("find shipment: %w", err)
	}
	return found, true, nil
}

// ofOrder returns the latest shipment of an order and what happened to it.
func (s *shipments) ofOrder(ctx context.Context, order string) (found shipment, way []happening, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var id string
		err := tx.QueryRow(ctx, `SELECT id FROM shipments WHERE order_id = ? ORDER BY create_time DESC, id DESC LIMIT 1`, order).Scan(&id)
		if err != nil {
			return err
		}
		if found, err = read(ctx, tx, id, ""); err != nil {
			return err
		}
		way, err = store.Collect(ctx, tx, scanHappening, `SELECT state, event, create_time FROM tracking WHERE shipment_id = ? ORDER BY number`, id)
		return err
	}, store.ReadOnly)
	if errors.Is(err, store.ErrNoRows) {
		return shipment{}, nil, notFound()
	}
	if err != nil {
		return shipment{}, nil, fmt.Errorf("get shipment of order: %w", err)
	}
	return found, way, nil
}

func scanHappening(scan func(...any) error) (happening, error) {
	var h happening
	err := scan(&h.state, &h.text, &h.at)
	return h, err
}

// position is where a list of shipments goes on.
type position struct {
	Created int64
	ID      string
}

// list returns the first shipments after a position, the latest first, without
// their lines; of one state unless that is 0.
func (s *shipments) list(ctx context.Context, state shippingv1.State, after position, limit int) ([]shipment, error) {
	where, args := `(create_time < ? OR (create_time = ? AND id < ?))`, []any{after.Created, after.Created, after.ID}
	if state != 0 {
		where, args = where+` AND state = ?`, append(args, int64(state))
	}
	list, err := store.Collect(ctx, s.db, scanShipment, `SELECT `+columns+` FROM shipments WHERE order_id <> '' AND `+where+
		` ORDER BY create_time DESC, id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list shipments: %w", err)
	}
	return list, nil
}

// create adds a shipment; if there is one of that id, it says what it says.
func (s *shipments) create(ctx context.Context, fresh shipment) (shipment, error) {
	var out shipment
	err := s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, err := read(ctx, tx, fresh.id, forUpdate)
		if err == nil {
			out = kept
			return kept.again(fresh)
		}
		if !errors.Is(err, store.ErrNoRows) {
			return err
		}
		out = fresh
		return insert(ctx, tx, fresh)
	})
	if err != nil {
		return shipment{}, fmt.Errorf("create shipment: %w", err)
	}
	return out, nil
}

// once runs a transaction again if somebody else has just inserted what it
// inserts: then it finds it there.
func (s *shipments) once(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	err := s.db.InTx(ctx, fn)
	if errors.Is(err, store.ErrConflict) {
		err = s.db.InTx(ctx, fn)
	}
	return err
}

func insert(ctx context.Context, tx *store.Tx, s shipment) error {
	a := s.address
	_, err := tx.Exec(ctx, `INSERT INTO shipments (`+columns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.id, s.order, s.customer, int64(s.state), s.dispatched, a.name, a.street, a.city, a.postalCode, a.country,
		s.trackingNumber, s.attempts, s.moving, s.next, s.trace, s.created, s.updated)
	if err != nil {
		return err
	}
	if len(s.lines) > 0 {
		var args []any
		for i, l := range s.lines {
			args = append(args, s.id, i, l.sku, l.quantity)
		}
		_, err := tx.Exec(ctx, `INSERT INTO shipment_lines (shipment_id, position, sku, quantity) VALUES (?, ?, ?, ?)`+
			strings.Repeat(`, (?, ?, ?, ?)`, len(s.lines)-1), args...)
		if err != nil {
			return err
		}
	}
	return track(ctx, tx, s.id, happening{s.state, texts[s.state], s.created})
}

// track writes down what happened to a shipment, whose row is locked.
func track(ctx context.Context, tx *store.Tx, id string, h happening) error {
	var before int64
	if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM tracking WHERE shipment_id = ?`, id).Scan(&before); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO tracking (shipment_id, number, state, event, create_time) VALUES (?, ?, ?, ?, ?)`,
		id, before+1, int64(h.state), h.text, h.at)
	return err
}

func save(ctx context.Context, tx *store.Tx, s shipment) error {
	_, err := tx.Exec(ctx, `UPDATE shipments SET state = ?, dispatched = ?, attempts = ?, moving = ?, next_time = ?, trace = ?, update_time = ? WHERE id = ?`,
		int64(s.state), s.dispatched, s.attempts, s.moving, s.next, s.trace, s.updated, s.id)
	return err
}

// dispatch lets the carrier fetch a shipment.
func (s *shipments) dispatch(ctx context.Context, id string, now time.Time, pace time.Duration) error {
	place := s.tracer.Place(ctx)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, err := read(ctx, tx, id, forUpdate)
		if err != nil {
			return err
		}
		changed, err := kept.dispatch(now, pace)
		if err != nil || !changed {
			return err
		}
		kept.trace = place
		return save(ctx, tx, kept)
	})
	if errors.Is(err, store.ErrNoRows) {
		return notFound()
	}
	if err != nil {
		return fmt.Errorf("dispatch shipment: %w", err)
	}
	return nil
}

// cancel ends a shipment. One that was never created is noted as cancelled:
// should its creation come late, it is refused.
func (s *shipments) cancel(ctx context.Context, id string, now time.Time) error {
	err := s.once(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, err := read(ctx, tx, id, forUpdate)
		if errors.Is(err, store.ErrNoRows) {
			return insert(ctx, tx, shipment{id: id, state: cancelled, next: now, created: now, updated: now})
		}
		if err != nil {
			return err
		}
		changed, err := kept.cancel(now)
		if err != nil || !changed {
			return err
		}
		if err := save(ctx, tx, kept); err != nil {
			return err
		}
		return track(ctx, tx, id, happening{cancelled, texts[cancelled], now})
	})
	if err != nil {
		return fmt.Errorf("cancel shipment: %w", err)
	}
	return nil
}

// errand is a shipment whose next step is due, and the place in the trace of
// whoever had it dispatched.
type errand struct{ id, trace string }

// due returns the shipments whose next step is due, at most so many.
func (s *shipments) due(ctx context.Context, now time.Time, limit int) ([]errand, error) {
	all, err := store.Collect(ctx, s.db, func(scan func(...any) error) (e errand, err error) {
		err = scan(&e.id, &e.trace)
		return e, err
	}, `SELECT id, trace FROM shipments WHERE moving = TRUE AND next_time <= ? ORDER BY next_time LIMIT ?`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("find shipments that are due: %w", err)
	}
	return all, nil
}

// advance takes the next step of a shipment, if it is still due, and has others
// told in the same transaction. Several may do so at once.
func (s *shipments) advance(ctx context.Context, id string, now time.Time, pace time.Duration, c carrier) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		kept, err := read(ctx, tx, id, forUpdate)
		if err != nil {
			return err
		}
		before := kept.state
		happened, moved := kept.advance(now, pace, c.fails(kept))
		if !moved {
			return nil
		}
		if err := save(ctx, tx, kept); err != nil {
			return err
		}
		if err := track(ctx, tx, id, happened); err != nil {
			return err
		}
		if kept.state == before {
			return nil // it was in vain
		}
		return s.tell(ctx, tx, kept)
	})
	if err != nil {
		return fmt.Errorf("advance shipment: %w", err)
	}
	return nil
}
