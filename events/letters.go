package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gowarren/warren/events/driver"
	"github.com/gowarren/warren/store"
)

// ErrNoLetter says that there is no such dead letter, or that it was settled
// before.
var ErrNoLetter = errors.New("no such dead letter")

// Letter is an event that was given up.
type Letter struct {
	// Message is the event. Its Group is empty where the broker refused it; its
	// Attempt is the last one.
	Message
	LetterID string
	Payload  []byte
	// Handler is the function that gave up.
	Handler string
	// Reason is its last error.
	Reason string
	// State is "dead", "replayed" or "dropped".
	State string
	Died  time.Time
	// Actions are what people did with it, the first one first; only Get reads
	// them.
	Actions []Action
}

// Action is one thing that somebody did with a dead letter.
type Action struct {
	// Name is "edit", "replay" or "drop".
	Name   string
	Author string
	Reason string
	Time   time.Time
}

// JSON is the event in the proto3 mapping, if this program knows its type.
func (l Letter) JSON() ([]byte, error) {
	event, err := l.event()
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(event)
}

func (l Letter) event() (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(l.Topic))
	if err != nil {
		return nil, fmt.Errorf("read event %s: %w", l.Topic, err)
	}
	event := kind.New().Interface()
	if err := proto.Unmarshal(l.Payload, event); err != nil {
		return nil, fmt.Errorf("read event %s: %w", l.Topic, err)
	}
	return event, nil
}

// Filter chooses dead letters; empty fields choose all.
type Filter struct {
	LetterID, Topic, Key, Group string
	// Reason is text that the reason contains.
	Reason string
	// State is "dead" where it is not given.
	State string
	// Before chooses those that died earlier.
	Before time.Time
	// Limit and Offset page through a list. Default: 100 from the first.
	Limit, Offset int
}

func (f Filter) where() (string, []any) {
	if f.State == "" {
		f.State = letterDead
	}
	where, args := `state = ?`, []any{f.State}
	for column, value := range map[string]string{"id": f.LetterID, "topic": f.Topic, "event_key": f.Key, "consumer_group": f.Group} {
		if value != "" {
			where, args = where+" AND "+column+" = ?", append(args, value)
		}
	}
	if f.Reason != "" {
		where, args = where+` AND reason LIKE ? ESCAPE '!'`, append(args, "%"+likeEscaper.Replace(f.Reason)+"%")
	}
	if !f.Before.IsZero() {
		where, args = where+` AND died_at < ?`, append(args, f.Before)
	}
	return where, args
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// The states of a dead letter.
const (
	letterDead     = "dead"
	letterReplayed = "replayed"
	letterDropped  = "dropped"
)

// Letters are the dead letters of a service. Who changes one says who he is and
// why, and that is kept with it.
type Letters struct{ bus *Bus }

// Letters returns the dead letters of the bus's service.
func (b *Bus) Letters() *Letters { return &Letters{b} }

func (l *Letters) dbs() (out []*store.DB) {
	for _, p := range l.bus.all() {
		out = append(out, p.db)
	}
	return out
}

// List returns the letters that the filter chooses, the last to die first.
func (l *Letters) List(ctx context.Context, f Filter) ([]Letter, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	var out []Letter
	for _, db := range l.dbs() {
		some, err := f.list(ctx, db)
		if err != nil {
			return nil, fmt.Errorf("list dead letters: %w", err)
		}
		out = append(out, some...)
	}
	slices.SortStableFunc(out, func(a, b Letter) int { return cmp.Or(b.Died.Compare(a.Died), cmp.Compare(a.LetterID, b.LetterID)) })
	out = out[min(f.Offset, len(out)):]
	return out[:min(f.Limit, len(out))], nil
}

// list returns the first letters of one database, as many as the page may need.
func (f Filter) list(ctx context.Context, db *store.DB) ([]Letter, error) {
	where, args := f.where()
	rows, err := db.Query(ctx, selectLetter+where+` ORDER BY died_at DESC, id LIMIT ?`, append(args, f.Offset+f.Limit)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Letter
	for rows.Next() {
		letter, err := scanLetter(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, letter)
	}
	return out, rows.Err()
}

// Get returns one letter, whatever its state, with what was done to it.
func (l *Letters) Get(ctx context.Context, id string) (Letter, error) {
	for _, db := range l.dbs() {
		letter, err := get(ctx, db, id)
		if err == nil {
			return letter, nil
		}
		if !errors.Is(err, ErrNoLetter) {
			return Letter{}, fmt.Errorf("get dead letter %s: %w", id, err)
		}
	}
	return Letter{}, fmt.Errorf("get dead letter %s: %w", id, ErrNoLetter)
}

func get(ctx context.Context, db *store.DB, id string) (Letter, error) {
	letter, err := scanLetter(db.QueryRow(ctx, selectLetter+`id = ?`, id).Scan)
	if err != nil {
		return Letter{}, noLetter(err)
	}
	rows, err := db.Query(ctx, `SELECT action, author, reason, acted_at FROM warren_dead_letter_actions WHERE letter_id = ? ORDER BY seq`, id)
	if err != nil {
		return Letter{}, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var a Action
		if err := rows.Scan(&a.Name, &a.Author, &a.Reason, &a.Time); err != nil {
			return Letter{}, err
		}
		letter.Actions = append(letter.Actions, a)
	}
	return letter, rows.Err()
}

// Edit replaces the event of a dead letter, written in JSON, before it is
// replayed. Fields that this program doesn't know stay as they are.
func (l *Letters) Edit(ctx context.Context, id string, event []byte, author, reason string) error {
	err := l.change(ctx, id, "edit", author, reason, func(ctx context.Context, tx *store.Tx, letter Letter) error {
		edited, err := letter.edited(event)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE warren_dead_letters SET payload = ?, changed_at = ? WHERE id = ?`, notNil(edited), time.Now(), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("edit dead letter %s: %w", id, err)
	}
	return nil
}

// edited is the payload that event stands for. A payload that can't be read has
// no fields to keep.
func (l Letter) edited(event []byte) ([]byte, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(l.Topic))
	if err != nil {
		return nil, fmt.Errorf("read event %s: %w", l.Topic, err)
	}
	edited := kind.New().Interface()
	if err := protojson.Unmarshal(event, edited); err != nil {
		return nil, fmt.Errorf("read event %s: %w", l.Topic, err)
	}
	if before, err := l.event(); err == nil {
		keepUnknown(edited.ProtoReflect(), before.ProtoReflect())
	}
	return proto.Marshal(edited)
}

// keepUnknown gives a message what the one that it replaces had beyond what this
// program knows, and so on with the messages in both: those of maps by their keys,
// those of lists by their places, where it still has as many.
func keepUnknown(edited, before protoreflect.Message) {
	edited.SetUnknown(before.GetUnknown())
	before.Range(func(fd protoreflect.FieldDescriptor, was protoreflect.Value) bool {
		if !edited.Has(fd) {
			return true
		}
		now := edited.Get(fd)
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				was.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
					if now.Map().Has(k) {
						keepUnknown(now.Map().Get(k).Message(), v.Message())
					}
					return true
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := range was.List().Len() {
				if was.List().Len() == now.List().Len() {
					keepUnknown(now.List().Get(i).Message(), was.List().Get(i).Message())
				}
			}
		default:
			keepUnknown(now.Message(), was.Message())
		}
		return true
	})
}

// Replay has the letters that the filter chooses handled again, by the group that
// gave them up, with all attempts before them; those that the broker refused are
// published again. It returns how many they were.
func (l *Letters) Replay(ctx context.Context, f Filter, author, reason string) (int, error) {
	return l.settleAll(ctx, f, "replay", author, reason, func(ctx context.Context, tx *store.Tx, letter Letter) error {
		if err := setState(ctx, tx, letter.LetterID, letterReplayed); err != nil {
			return err
		}
		headers, err := json.Marshal(letter.Headers)
		if err != nil {
			return err
		}
		if letter.Group == "" {
			_, err = tx.Exec(ctx, `INSERT INTO warren_outbox (id, topic, event_key, headers, payload, created_at, state, sent_at)
				VALUES (?, ?, ?, ?, ?, ?, 0, 0)`, letter.ID, letter.Topic, letter.Key, string(headers), notNil(letter.Payload), letter.Published)
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO warren_retries
			(consumer_group, message_id, topic, event_key, headers, payload, published_at, attempts, due_at, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`, letter.Group, letter.ID, letter.Topic, letter.Key, string(headers),
			notNil(letter.Payload), letter.Published, time.Now(), "replayed by "+author)
		return err
	})
}

// Drop settles the letters that the filter chooses: nothing more happens to them.
// It returns how many they were.
func (l *Letters) Drop(ctx context.Context, f Filter, author, reason string) (int, error) {
	return l.settleAll(ctx, f, "drop", author, reason, func(ctx context.Context, tx *store.Tx, letter Letter) error {
		return setState(ctx, tx, letter.LetterID, letterDropped)
	})
}

type change = func(ctx context.Context, tx *store.Tx, letter Letter) error

// settleAll works on the letters that are dead now and that the filter chooses,
// each once and in its own transaction. One that somebody else settles meanwhile
// is left to him, and one that dies again meanwhile is left dead.
func (l *Letters) settleAll(ctx context.Context, f Filter, action, author, reason string, do change) (n int, err error) {
	f.State = letterDead
	for _, db := range l.dbs() {
		ids, err := chosen(ctx, db, f)
		if err != nil {
			return n, fmt.Errorf("%s: %w", action, err)
		}
		if f.Limit > 0 {
			ids = ids[:min(len(ids), f.Limit-n)]
		}
		for _, id := range ids {
			err := changeIn(ctx, db, id, action, author, reason, do)
			switch {
			case err == nil:
				n++
			case !errors.Is(err, ErrNoLetter):
				return n, fmt.Errorf("%s dead letter %s: %w", action, id, err)
			}
		}
	}
	if n == 0 && f.LetterID != "" {
		return 0, fmt.Errorf("%s dead letter %s: %w", action, f.LetterID, ErrNoLetter)
	}
	return n, nil
}

// chosen returns the ids of the filter's letters, the last to die first; all of
// them, where the filter has no limit.
func chosen(ctx context.Context, db *store.DB, f Filter) ([]string, error) {
	where, args := f.where()
	query := `SELECT id FROM warren_dead_letters WHERE ` + where + ` ORDER BY died_at DESC, id`
	if f.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, f.Limit)
	}
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// change works on one dead letter, in whichever database it is.
func (l *Letters) change(ctx context.Context, id, action, author, reason string, do change) error {
	for _, db := range l.dbs() {
		if err := changeIn(ctx, db, id, action, author, reason, do); !errors.Is(err, ErrNoLetter) {
			return err
		}
	}
	return ErrNoLetter
}

// changeIn works on one dead letter that nobody else changes, and writes down who
// did what.
func changeIn(ctx context.Context, db *store.DB, id, action, author, reason string, do change) error {
	if author == "" {
		return errors.New("the author is not given")
	}
	if action == "drop" && reason == "" {
		return errors.New("the reason is not given")
	}
	return db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		letter, err := scanLetter(tx.QueryRow(ctx, selectLetter+`id = ? AND state = ? FOR UPDATE`, id, letterDead).Scan)
		if err != nil {
			return noLetter(err)
		}
		if err := do(ctx, tx, letter); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO warren_dead_letter_actions (letter_id, action, author, reason, acted_at) VALUES (?, ?, ?, ?, ?)`,
			id, action, author, reason, time.Now())
		if p, ok := tx.Attached(busKey{}).(*place); ok {
			tx.AfterCommit(p.wakeAll)
		}
		return err
	})
}

// wakeAll has everything looked at that a letter may have gone to.
func (p *place) wakeAll() {
	wake(p.woken)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subs {
		wake(p.waker(s))
	}
}

func setState(ctx context.Context, tx *store.Tx, id, state string) error {
	_, err := tx.Exec(ctx, `UPDATE warren_dead_letters SET state = ?, changed_at = ? WHERE id = ?`, state, time.Now(), id)
	return err
}

// bury makes a message a dead letter. One that dies again after a replay is the
// same letter.
func (b *Bus) bury(ctx context.Context, tx *store.Tx, group, handler string, m driver.Message, attempts int, reason string) error {
	headers, err := json.Marshal(m.Headers)
	if err != nil {
		return err
	}
	now := time.Now()
	_, err = tx.Exec(ctx, `INSERT INTO warren_dead_letters
		(id, consumer_group, message_id, topic, event_key, headers, payload, published_at, handler, attempts, reason, state, died_at, changed_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (consumer_group, message_id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
			reason = excluded.reason, handler = excluded.handler, payload = excluded.payload,
			died_at = excluded.died_at, changed_at = excluded.changed_at`,
		rand.Text(), group, m.ID, m.Topic, m.Key, string(headers), notNil(m.Payload), m.Published, handler, attempts,
		shortened(reason), letterDead, now, now)
	return err
}

const selectLetter = `SELECT id, consumer_group, message_id, topic, event_key, headers, payload, published_at, handler, attempts,
	reason, state, died_at FROM warren_dead_letters WHERE `

func scanLetter(scan func(...any) error) (Letter, error) {
	var l Letter
	var headers string
	err := scan(&l.LetterID, &l.Group, &l.ID, &l.Topic, &l.Key, &headers, &l.Payload, &l.Published, &l.Handler, &l.Attempt,
		&l.Reason, &l.State, &l.Died)
	if err != nil {
		return l, err
	}
	_ = json.Unmarshal([]byte(headers), &l.Headers) // damaged ones are a reason to be here
	return l, nil
}

func noLetter(err error) error {
	if errors.Is(err, store.ErrNoRows) {
		return ErrNoLetter
	}
	return err
}
