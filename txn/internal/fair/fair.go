// Package fair is a small fair on which transactions are tested: a stall with
// goods, and purses with money, as ordinary services on databases.
package fair

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing/fstest"

	"google.golang.org/grpc"

	"github.com/gowarren/warren/rpc"
	"github.com/gowarren/warren/store"
	fairv1 "github.com/gowarren/warren/txn/internal/testpb/fair/v1"
)

// Host is what a service of the fair runs in.
type Host interface {
	grpc.ServiceRegistrar
	Database(ctx context.Context, migrations fs.FS) (*store.DB, error)
}

const schema = `
CREATE TABLE things (name VARCHAR(50) NOT NULL PRIMARY KEY, free BIGINT NOT NULL CHECK (free >= 0), gone BIGINT NOT NULL DEFAULT 0);
CREATE TABLE reserved (id VARCHAR(100) NOT NULL PRIMARY KEY, name VARCHAR(50) NOT NULL, quantity BIGINT NOT NULL);`

// Ledger counts things that are free, reserved, or gone.
type Ledger struct{ DB *store.DB }

// NewLedger opens a database with so many free things.
func NewLedger(ctx context.Context, host Host, things map[string]int64) (*Ledger, error) {
	db, err := host.Database(ctx, fstest.MapFS{"0001_schema.sql": {Data: []byte(schema)}})
	if err != nil {
		return nil, err
	}
	for name, free := range things {
		if _, err := db.Exec(ctx, `INSERT INTO things (name, free) VALUES (?, ?)`, name, free); err != nil {
			return nil, err
		}
	}
	return &Ledger{db}, nil
}

// State describes all there is.
func (l *Ledger) State(ctx context.Context) (string, error) {
	rows, err := l.DB.Query(ctx, `SELECT name, free, gone,
		(SELECT COALESCE(SUM(quantity), 0) FROM reserved r WHERE r.name = t.name) FROM things t ORDER BY name`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out strings.Builder
	for rows.Next() {
		var name string
		var free, gone, reserved int64
		if err := rows.Scan(&name, &free, &gone, &reserved); err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s: %d free, %d reserved, %d gone; ", name, free, reserved, gone)
	}
	return out.String(), rows.Err()
}

// reserve moves things aside; ok tells whether there are as many.
func (l *Ledger) reserve(ctx context.Context, id, name string, quantity int64) (ok bool, err error) {
	err = l.DB.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE things SET free = free - ? WHERE name = ? AND free >= ?`, quantity, name, quantity)
		if ok = n == 1; err != nil || !ok {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO reserved (id, name, quantity) VALUES (?, ?, ?)`, id, name, quantity)
		return err
	})
	return ok, err
}

// settle ends a reservation: its things are gone, or free again.
func (l *Ledger) settle(ctx context.Context, id, column string) error {
	return l.DB.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var name string
		var quantity int64
		if err := tx.QueryRow(ctx, `SELECT name, quantity FROM reserved WHERE id = ?`, id).Scan(&name, &quantity); err != nil {
			return fmt.Errorf("settle %s: %w", id, err)
		}
		if _, err := tx.Exec(ctx, `UPDATE things SET `+column+` = `+column+` + ? WHERE name = ?`, quantity, name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM reserved WHERE id = ?`, id)
		return err
	})
}

// Stall sells what is on it, at 3 a piece.
type Stall struct {
	fairv1.UnimplementedStallServiceServer
	*Ledger
}

// NewStall opens a stall.
func NewStall(ctx context.Context, host Host, goods map[string]int64) (*Stall, error) {
	l, err := NewLedger(ctx, host, goods)
	s := &Stall{Ledger: l}
	fairv1.RegisterStallServiceServer(host, s)
	return s, err
}

// Price implements the contract.
func (s *Stall) Price(_ context.Context, r *fairv1.PriceRequest) (*fairv1.PriceResponse, error) {
	return &fairv1.PriceResponse{Amount: 3 * r.GetQuantity()}, nil
}

// Reserve implements the contract.
func (s *Stall) Reserve(ctx context.Context, r *fairv1.ReserveRequest) (*fairv1.ReserveResponse, error) {
	ok, err := s.reserve(ctx, r.GetId(), r.GetGoods(), r.GetQuantity())
	if err != nil || !ok {
		return nil, refusal(err, fairv1.Reason_SOLD_OUT, "there are not %d %s left", r.GetQuantity(), r.GetGoods())
	}
	return &fairv1.ReserveResponse{Shelf: "shelf of " + r.GetGoods(), Place: &fairv1.Place{Row: 7, Neighbours: []string{"pears"}}}, nil
}

// Release implements the contract.
func (s *Stall) Release(ctx context.Context, r *fairv1.ReleaseRequest) (*fairv1.ReleaseResponse, error) {
	return &fairv1.ReleaseResponse{}, s.settle(ctx, r.GetId(), "free")
}

// Confirm implements the contract.
func (s *Stall) Confirm(ctx context.Context, r *fairv1.ConfirmRequest) (*fairv1.ConfirmResponse, error) {
	return &fairv1.ConfirmResponse{}, s.settle(ctx, r.GetId(), "gone")
}

// Purses hold money.
type Purses struct {
	fairv1.UnimplementedPurseServiceServer
	*Ledger

	last atomic.Pointer[fairv1.HoldRequest]
	// OnHold is called by every run of Hold, outside its transaction; it may be nil.
	OnHold func()
}

// NewPurses opens purses with so much in each.
func NewPurses(ctx context.Context, host Host, money map[string]int64) (*Purses, error) {
	l, err := NewLedger(ctx, host, money)
	s := &Purses{Ledger: l}
	fairv1.RegisterPurseServiceServer(host, s)
	return s, err
}

// LastHold returns what was asked for last.
func (s *Purses) LastHold() *fairv1.HoldRequest { return s.last.Load() }

// Hold implements the contract.
func (s *Purses) Hold(ctx context.Context, r *fairv1.HoldRequest) (*fairv1.HoldResponse, error) {
	s.last.Store(r)
	if s.OnHold != nil {
		s.OnHold()
	}
	ok, err := s.reserve(ctx, r.GetId(), r.GetPurse(), r.GetAmount())
	if err != nil || !ok {
		return nil, refusal(err, fairv1.Reason_TOO_POOR, "there is less than %d in the purse of %s", r.GetAmount(), r.GetPurse())
	}
	return &fairv1.HoldResponse{Voucher: "voucher " + r.GetId()}, nil
}

// Void implements the contract.
func (s *Purses) Void(ctx context.Context, r *fairv1.VoidRequest) (*fairv1.VoidResponse, error) {
	return &fairv1.VoidResponse{}, s.settle(ctx, r.GetId(), "free")
}

// Capture implements the contract.
func (s *Purses) Capture(ctx context.Context, r *fairv1.CaptureRequest) (*fairv1.CaptureResponse, error) {
	return &fairv1.CaptureResponse{}, s.settle(ctx, r.GetId(), "gone")
}

// Give implements the contract.
func (s *Purses) Give(ctx context.Context, r *fairv1.GiveRequest) (*fairv1.GiveResponse, error) {
	n, err := s.DB.Exec(ctx, `UPDATE things SET free = free + ? WHERE name = ?`, r.GetAmount(), r.GetPurse())
	if err != nil || n != 1 {
		return nil, refusal(err, fairv1.Reason_UNKNOWN_PURSE, "nobody here is called %s", r.GetPurse())
	}
	return &fairv1.GiveResponse{}, nil
}

// refusal is the error of the database, if there is one, or that of a rule.
func refusal(err error, reason fairv1.Reason, format string, args ...any) error {
	if err != nil {
		return err
	}
	return rpc.Errorf(reason, format, args...)
}
