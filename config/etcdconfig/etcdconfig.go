// Package etcdconfig keeps live settings in etcd: the driver to choose when more
// than one machine must see them. It speaks to the embedded server and to a
// cluster alike.
//
// # URLs
//
//	etcd://host:2379[,host:2379…]/<system>?history=1000
//
// history is how many changes per environment are kept. Package etcdurl tells
// the parameters that all etcd drivers share (users, TLS, timeouts).
//
// # Keys
//
//	/<system>/config/<environment>/document
//	/<system>/config/<environment>/history/<revision>
//	/<system>/config/definitions/<service>/<setting>
//
// A change writes its document and its history record in one transaction, so
// there is never the one without the other.
package etcdconfig

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gowarren/warren/config/driver"
	"github.com/gowarren/warren/internal/etcdurl"
)

// requestTimeout bounds one request: long enough for an election of a leader.
const requestTimeout = 5 * time.Second

type etcd struct {
	lazy    *etcdurl.Client
	servers string // for errors
	prefix  string
	keep    int64
}

// Open returns the driver for a URL. It doesn't wait for the cluster.
func Open(_ context.Context, u *url.URL) (driver.Driver, error) {
	target, err := etcdurl.Parse(u)
	if err != nil {
		return nil, err
	}
	keep := target.Params.Int("history", 1000)
	if err := target.Params.Err(); err != nil {
		return nil, err
	}
	if keep < 1 {
		return nil, fmt.Errorf("parameter history is %d: at least the last change is kept", keep)
	}
	return &etcd{
		lazy: etcdurl.NewClient(target), servers: strings.Join(target.Config.Endpoints, ","),
		prefix: target.Prefix + "config/", keep: int64(keep),
	}, nil
}

func (e *etcd) Load(ctx context.Context, environment string) (driver.Document, error) {
	s, err := e.load(ctx, environment)
	return s.document(), err
}

// state is what etcd holds for an environment at one of etcd's revisions.
type state struct {
	data     []byte
	modified int64 // etcd's revision of the document; 0 without one
	read     int64 // etcd's revision of the reading
	last     int64 // the newest revision in the history
}

func (s state) document() driver.Document {
	return driver.Document{Revision: max(driver.Revision(s.data), s.last), Data: s.data}
}

// load reads the document, and the revision of the newest history record: that
// one is right also when the document is damaged or gone.
func (e *etcd) load(ctx context.Context, environment string) (s state, err error) {
	client, ctx, cancel, err := e.request(ctx)
	if err != nil {
		return state{}, err
	}
	defer cancel()
	newest := append(clientv3.WithLastKey(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	answer, err := client.Txn(ctx).Then(
		clientv3.OpGet(e.documentKey(environment)),
		clientv3.OpGet(e.historyKey(environment), newest...),
	).Commit()
	if err != nil {
		return state{}, e.explain(err)
	}
	s.read = answer.Header.GetRevision()
	for _, kv := range answer.Responses[0].GetResponseRange().GetKvs() {
		s.data, s.modified = kv.GetValue(), kv.GetModRevision()
	}
	for _, kv := range answer.Responses[1].GetResponseRange().GetKvs() {
		if _, err := fmt.Sscanf(strings.TrimPrefix(string(kv.GetKey()), e.historyKey(environment)), "%d", &s.last); err != nil {
			return state{}, fmt.Errorf("key %s is no revision: %w", kv.GetKey(), err)
		}
	}
	return s, nil
}

func (e *etcd) Publish(ctx context.Context, environment string, base int64, document, record []byte) error {
	now, err := e.load(ctx, environment)
	if err != nil {
		return err
	}
	if now.document().Revision != base {
		return driver.ErrConflict
	}
	client, ctx, cancel, err := e.request(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	next := e.recordKey(environment, base+1)
	then := []clientv3.Op{
		clientv3.OpPut(e.documentKey(environment), string(document)),
		clientv3.OpPut(next, string(record)),
	}
	if oldest := base + 2 - e.keep; oldest > 1 {
		then = append(then, clientv3.OpDelete(e.historyKey(environment), clientv3.WithRange(e.recordKey(environment, oldest))))
	}
	answer, err := client.Txn(ctx).If(
		clientv3.Compare(clientv3.ModRevision(e.documentKey(environment)), "=", now.modified),
		clientv3.Compare(clientv3.CreateRevision(next), "=", 0),
	).Then(then...).Commit()
	if err != nil {
		return e.explain(err)
	}
	if !answer.Succeeded {
		return driver.ErrConflict
	}
	return nil
}

func (e *etcd) History(ctx context.Context, environment string, limit int) ([][]byte, error) {
	client, ctx, cancel, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	answer, err := client.Get(ctx, e.historyKey(environment), clientv3.WithPrefix(), clientv3.WithLimit(int64(limit)),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return nil, e.explain(err)
	}
	out := make([][]byte, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		out[i] = kv.GetValue()
	}
	return out, nil
}

// maxOps is what etcd takes in one transaction.
const maxOps = 100

func (e *etcd) Define(ctx context.Context, service string, definitions map[string][]byte) error {
	client, ctx, cancel, err := e.request(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	var ops []clientv3.Op
	for name, definition := range definitions {
		key := e.prefix + "definitions/" + service + "/" + name
		if definition == nil {
			ops = append(ops, clientv3.OpDelete(key))
		} else {
			ops = append(ops, clientv3.OpPut(key, string(definition)))
		}
	}
	for some := range slices.Chunk(ops, maxOps) {
		if _, err := client.Txn(ctx).Then(some...).Commit(); err != nil {
			return e.explain(err)
		}
	}
	return nil
}

func (e *etcd) Definitions(ctx context.Context) (map[string]map[string][]byte, error) {
	client, ctx, cancel, err := e.request(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	prefix := e.prefix + "definitions/"
	answer, err := client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, e.explain(err)
	}
	out := make(map[string]map[string][]byte)
	for _, kv := range answer.Kvs {
		service, name, _ := strings.Cut(strings.TrimPrefix(string(kv.GetKey()), prefix), "/")
		if out[service] == nil {
			out[service] = make(map[string][]byte)
		}
		out[service][name] = kv.GetValue()
	}
	return out, nil
}

func (e *etcd) Capabilities() driver.Capabilities {
	return driver.Capabilities{Machines: true, Replicated: strings.Contains(e.servers, ",")}
}

func (e *etcd) Close() error { return e.lazy.Close() }

func (e *etcd) request(ctx context.Context) (*clientv3.Client, context.Context, context.CancelFunc, error) {
	client, err := e.lazy.Get()
	if err != nil {
		return nil, nil, nil, e.explain(err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	return client, clientv3.WithRequireLeader(ctx), cancel, nil
}

func (e *etcd) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("etcd at %s: %w", e.servers, err)
}

func (e *etcd) documentKey(environment string) string { return e.prefix + environment + "/document" }
func (e *etcd) historyKey(environment string) string  { return e.prefix + environment + "/history/" }
func (e *etcd) recordKey(environment string, revision int64) string {
	return fmt.Sprintf("%s%019d", e.historyKey(environment), revision)
}
