package etcdconfig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/gowarren/warren/config/driver"
)

// resync is how often a watch is compared with a read: a safety net under
// watches that die without a sound.
const resync = time.Minute

var errLost = errors.New("the connection is lost")

// Watch reads the document and follows it from that reading on. A compacted
// watch begins again with a reading; a lost connection ends it, so that the
// caller knows that it may be behind: etcd's client alone would go on in silence.
func (e *etcd) Watch(ctx context.Context, environment string, deliver func(driver.Document)) error {
	client, err := e.lazy.Get()
	if err != nil {
		return e.explain(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watch{etcd: e, environment: environment, deliver: deliver, modified: -1}
	if err := w.read(ctx); err != nil {
		return err
	}
	go func() { cancel(untilLost(ctx, client.ActiveConnection())) }()
	return e.explain(w.run(ctx, client))
}

type watch struct {
	etcd        *etcd
	environment string
	deliver     func(driver.Document)
	modified    int64 // etcd's revision of the document delivered last
	position    int64 // etcd's revision of the last reading
}

// read delivers the document if it is not the one delivered last.
func (w *watch) read(ctx context.Context) error {
	s, err := w.etcd.load(ctx, w.environment)
	if err != nil {
		return err
	}
	if s.read < w.position {
		return fmt.Errorf("etcd went back from revision %d to %d, as after restoring a backup", w.position, s.read)
	}
	w.position = s.read
	if s.modified != w.modified {
		w.modified = s.modified
		w.deliver(s.document())
	}
	return nil
}

// run follows the document, and starts over with a reading when etcd has
// forgotten the revisions in between, or a member of the cluster has not heard
// yet of the token that another has just given to our user.
func (w *watch) run(ctx context.Context, client *clientv3.Client) error {
	for strange := 0; ; {
		err := w.follow(ctx, client)
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
		case unknownToken(err) && strange < 3:
			strange++
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		default:
			return err
		}
		if err := w.read(ctx); err != nil {
			return err
		}
	}
}

// unknownToken goes by the text: a member that cancels a watch gives its reason
// as text only.
func unknownToken(err error) bool {
	return strings.Contains(err.Error(), rpctypes.ErrorDesc(rpctypes.ErrGRPCInvalidAuthToken))
}

func (w *watch) follow(ctx context.Context, client *clientv3.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := client.Watch(clientv3.WithRequireLeader(ctx), w.etcd.documentKey(w.environment), clientv3.WithRev(w.position+1))
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
			if err := w.read(ctx); err != nil {
				return err
			}
		case answer, open := <-events:
			if err := answer.Err(); err != nil {
				return err
			}
			if !open {
				return errors.Join(context.Cause(ctx), errors.New("the watch ended"))
			}
			w.take(answer.Events)
		}
	}
}

// take delivers the last of a batch of events; those before it are history.
func (w *watch) take(events []*clientv3.Event) {
	if len(events) == 0 {
		return
	}
	kv := events[len(events)-1].Kv
	if kv.GetModRevision() <= w.modified {
		return // a reading was faster
	}
	w.modified, w.position = kv.GetModRevision(), max(w.position, kv.GetModRevision())
	if events[len(events)-1].Type == clientv3.EventTypeDelete {
		w.modified = 0 // as a reading finds it
		w.deliver(driver.Document{})
		return
	}
	w.deliver(driver.Document{Revision: driver.Revision(kv.GetValue()), Data: kv.GetValue()})
}

// untilLost returns when no server of the cluster is connected any more.
func untilLost(ctx context.Context, connection *grpc.ClientConn) error {
	for connection.GetState() == connectivity.Ready {
		if !connection.WaitForStateChange(ctx, connectivity.Ready) {
			return context.Cause(ctx)
		}
	}
	return errLost
}
