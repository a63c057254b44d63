package coordinator

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	txnv1 "github.com/gowarren/warren/api/warren/txn/v1"
	"github.com/gowarren/warren/rpc"
)

// orphan is something prepared that no transaction is going to decide.
type orphan struct{ service, gid, branch string }

// orphans are those that are known, by who has them.
type orphans struct {
	engine *Engine
	known  map[string]map[orphan]bool
}

// watchOrphans asks at the start, and again and again, those who take part in
// two-phase commits what they have prepared. What belongs to no transaction that
// is going on holds its locks for ever: it is reported. It is never decided here:
// whether the others committed, nobody can tell any more.
func (e *Engine) watchOrphans(ctx context.Context) {
	found := orphans{engine: e, known: map[string]map[orphan]bool{}}
	for {
		if err := found.look(ctx); err != nil && ctx.Err() == nil {
			e.logger.Warn("orphans of two-phase commits cannot be looked for", "error", err)
		}
		pause := time.NewTimer(e.limits.audit.Get())
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

func (o *orphans) look(ctx context.Context) error {
	services, err := readGids(ctx, o.engine.db, `SELECT service FROM warren_txn_participant ORDER BY service`)
	if err != nil {
		return err
	}
	total := 0
	for _, service := range services {
		if list, err := o.engine.orphansOf(ctx, service); err == nil { // else it is as it was
			o.report(service, list)
		}
		total += len(o.known[service])
	}
	o.engine.metrics.orphans.Set(float64(total))
	return nil
}

// report tells of what is new.
func (o *orphans) report(service string, list map[orphan]bool) {
	for one := range list {
		if !o.known[service][one] {
			o.engine.logger.Error("prepared transaction has nobody who decides it, and holds its locks: commit it or roll it back in its database",
				"service", one.service, "gid", one.gid, "branch", one.branch)
		}
	}
	o.known[service] = list
}

// orphansOf asks a service, looks who of those it names is decided by nobody, and
// asks again: what is gone by then was just being finished.
func (e *Engine) orphansOf(ctx context.Context, service string) (map[orphan]bool, error) {
	list, err := e.preparedBy(ctx, service)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var gids []string
	for one := range list {
		gids = append(gids, one.gid)
	}
	going, err := e.load(ctx, e.db, gids)
	if err != nil {
		return nil, err
	}
	for _, t := range going {
		for _, b := range t.branches {
			if !t.row.terminal() {
				delete(list, orphan{service, t.row.gid, b.row.name})
			}
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	again, err := e.preparedBy(ctx, service)
	for one := range list {
		if !again[one] {
			delete(list, one)
		}
	}
	return list, err
}

func (e *Engine) preparedBy(ctx context.Context, service string) (map[orphan]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := txnv1.NewParticipantServiceClient(e.opts.Conn).Prepared(rpc.ToService(ctx, service), &txnv1.PreparedRequest{})
	if err != nil {
		return nil, err
	}
	list := map[orphan]bool{}
	for _, p := range resp.GetPrepared() {
		list[orphan{service, p.GetGid(), p.GetBranch()}] = true
	}
	return list, nil
}

// participates remembers who may have something prepared, before it has.
func (e *Engine) participates(ctx context.Context, service string) error {
	if _, known := e.participants.Load(service); known || service == "" {
		return nil
	}
	if n := utf8.RuneCountInString(service); n > 128 || strings.ContainsRune(service, 0) {
		return bad("%.40q is no name of a service", service)
	}
	if _, err := e.db.Exec(ctx, `INSERT INTO warren_txn_participant (service) VALUES (?) ON CONFLICT (service) DO NOTHING`, service); err != nil {
		return away(err)
	}
	e.participants.Store(service, true)
	return nil
}
