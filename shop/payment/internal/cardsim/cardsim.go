// Package cardsim is a provider of card payments that charges nobody: it
// behaves as real ones do, on good days and on bad ones.
//
// Every number that passes the check of its last digit is a card and is
// approved, but for these:
//
//	4000000000000002  declined
//	4000000000009995  declined: insufficient funds
//	4000000000009987  declined: lost card
//	4000000000000069  declined: expired card
//	4000000000000127  declined: incorrect security code
//	4000000000000119  charged, and the answer is lost
//	4000000000000101  declined, and the answer is lost
//	4000000000000341  the first request to charge it is lost
//	4000000000000077  approved after payment.simulator.delay, and reported then
//	4000000000000259  declined after payment.simulator.delay, and reported then
//	4000000000003220  approved, and reported three times
//	4000000000003055  approved, and slow
//
// Beyond these the settings payment.simulator.* make any card slow, declined,
// lost or reported twice, by chance.
//
// What it knows stands in tables of its own, so that it forgets nothing when
// the process dies: a provider is another company. A token stands for what a
// card does; the card's number is kept nowhere.
package cardsim

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"time"

	"github.com/gowarren/warren/config"
	"github.com/gowarren/warren/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the simulator's tables up to date.
func Migrate(ctx context.Context, db *store.DB) error {
	return db.MigrateSet(ctx, "cardsim", migrations)
}

// ErrNoCharge says that the provider knows nothing of a charge.
var ErrNoCharge = errors.New("the card provider knows no such charge")

// errLost says nothing of what became of the charge: it may have been made.
var errLost = errors.New("the card provider did not answer")

// Card is a card as its owner knows it.
type Card struct{ Number, CVV string }

// String keeps the card out of logs.
func (Card) String() string { return "a card" }

// GoString keeps the card out of logs.
func (Card) GoString() string { return "a card" }

// LogValue keeps the card out of logs.
func (Card) LogValue() slog.Value { return slog.StringValue("a card") }

// Status is what became of a charge.
type Status string

// The states of a charge. Approved and Declined are for ever.
const (
	Processing Status = "processing"
	Approved   Status = "approved"
	Declined   Status = "declined"
)

// Result is what the provider says of a charge.
type Result struct {
	Status Status
	Reason string // why it was declined
}

// Options say what a simulator works with.
type Options struct {
	// DB has the tables of Migrate. Required.
	DB *store.DB
	// Settings are the live numbers. Nil: their defaults.
	Settings *config.Settings
	// Logger is told of reports that nobody takes. Nil: slog.Default.
	Logger *slog.Logger
	// Report tells the merchant that something became of a charge. Required.
	Report func(ctx context.Context, charge string) error
	// Now is the time. Nil: time.Now.
	Now func() time.Time
}

// Simulator is the provider. It is safe for concurrent use.
type Simulator struct {
	opts     Options
	settings *settings
}

// New returns a simulator. Its reports are sent by Run.
func New(opts Options) *Simulator {
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Simulator{opts: opts, settings: watchSettings(opts.Settings)}
}

// Tokenize exchanges a card for a token that is worth nothing elsewhere.
func (s *Simulator) Tokenize(ctx context.Context, card Card) (string, error) {
	b, special := cards[card.Number]
	if !special {
		b = usual
	}
	token := "card_" + strings.ToLower(rand.Text())
	_, err := s.opts.DB.Exec(ctx, `INSERT INTO cardsim_tokens (token, behaviour) VALUES (?, ?)`, token, b.name)
	if err != nil {
		return "", fmt.Errorf("tokenize card: %w", err)
	}
	return token, nil
}

// Charge takes an amount from the card of a token. The charge is named by the
// merchant; one that was made before is not made again. An error leaves open
// whether it was made.
func (s *Simulator) Charge(ctx context.Context, charge, token string, units int64, currency string) (Result, error) {
	name := ""
	err := s.opts.DB.QueryRow(ctx, `SELECT behaviour FROM cardsim_tokens WHERE token = ?`, token).Scan(&name)
	if errors.Is(err, store.ErrNoRows) {
		return Result{Status: Declined, Reason: "unknown card"}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("charge card: %w", err)
	}
	b := s.mishap(named(name))
	if b.lost {
		// The next request will arrive.
		_, err := s.opts.DB.Exec(ctx, `UPDATE cardsim_tokens SET behaviour = ? WHERE token = ?`, usual.name, token)
		return Result{}, errors.Join(errLost, err)
	}
	if err := s.make(ctx, charge, token, units, currency, b); err != nil {
		return Result{}, fmt.Errorf("charge card: %w", err)
	}
	// It is the answer that is slow: who doesn't wait for it was charged as well.
	if err := sleep(ctx, b.slow); err != nil {
		return Result{}, fmt.Errorf("charge card: %w", err)
	}
	if b.unknown {
		return Result{}, errLost
	}
	return s.Find(ctx, charge)
}

// mishap adds what the settings say to what a card does by itself.
func (s *Simulator) mishap(b behaviour) behaviour {
	happens := func(rate *config.Value[float64]) bool { return mathrand.Float64() < rate.Get() }
	if b.declined == "" && happens(s.settings.declines) {
		b.declined = "card declined"
	}
	b.unknown = b.unknown || happens(s.settings.unknown)
	if happens(s.settings.duplicates) {
		b.reports += 2
	}
	b.slow += s.settings.slowness.Get()
	return b
}

func (s *Simulator) make(ctx context.Context, charge, token string, units int64, currency string, b behaviour) error {
	status, known := Approved, s.opts.Now()
	if b.declined != "" {
		status = Declined
	}
	if b.late {
		known = known.Add(s.settings.delay.Get())
	}
	_, err := s.opts.DB.Exec(ctx, `INSERT INTO cardsim_charges (id, token, units, currency, status, reason, known_time, reports, report_time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		charge, token, units, currency, string(status), b.declined, known, b.reports, known)
	return err
}

// Find tells what became of a charge.
func (s *Simulator) Find(ctx context.Context, charge string) (Result, error) {
	var status string
	var known time.Time
	var r Result
	err := s.opts.DB.QueryRow(ctx, `SELECT status, reason, known_time FROM cardsim_charges WHERE id = ?`, charge).Scan(&status, &r.Reason, &known)
	if errors.Is(err, store.ErrNoRows) {
		return Result{}, ErrNoCharge
	}
	if err != nil {
		return Result{}, fmt.Errorf("find charge: %w", err)
	}
	if known.After(s.opts.Now()) {
		return Result{Status: Processing}, nil
	}
	r.Status = Status(status)
	return r, nil
}

// Charged returns how much was taken from cards in a currency: what the
// provider's own books say.
func (s *Simulator) Charged(ctx context.Context, currency string) (int64, error) {
	var units int64
	err := s.opts.DB.QueryRow(ctx, `SELECT COALESCE(SUM(units), 0) FROM cardsim_charges WHERE status = ? AND currency = ?`,
		string(Approved), currency).Scan(&units)
	if err != nil {
		return 0, fmt.Errorf("sum charges: %w", err)
	}
	return units, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
