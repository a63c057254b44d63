package engines

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// worthwhile is the unused space in the database file from which on a
// defragmentation, which stops the world for a moment, pays.
const worthwhile = 16 << 20

// maintain keeps the database file small, for ever.
func (e *Etcd) maintain(ctx context.Context, opts EtcdOptions) {
	ticker := time.NewTicker(opts.DefragEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.fault.happened:
			return
		case <-ticker.C:
		}
		if err := e.tidy(ctx, opts.Quota); err != nil && ctx.Err() == nil {
			opts.Logger.Warn("etcd's database is not kept small", "error", err)
		}
	}
}

// tidy gives unused space back, and lets a database that had reached its quota
// take writes again when there is room.
func (e *Etcd) tidy(ctx context.Context, quota int64) error {
	status, err := e.client.Status(ctx, e.Endpoint())
	if err != nil {
		return fmt.Errorf("ask etcd for its size: %w", err)
	}
	alarm, err := e.full(ctx)
	if err != nil {
		return err
	}
	unused := status.DbSize - status.DbSizeInUse
	if unused >= max(worthwhile, status.DbSize/2) || alarm != nil && unused > 0 {
		if err := e.server.Server.Backend().Defrag(); err != nil {
			return fmt.Errorf("defragment etcd: %w", err)
		}
	}
	if alarm != nil && status.DbSizeInUse < quota/10*8 {
		if _, err := e.client.AlarmDisarm(ctx, alarm); err != nil {
			return fmt.Errorf("end etcd's alarm: %w", err)
		}
	}
	return nil
}

// full returns the alarm that stands for a database at its quota, or nil.
func (e *Etcd) full(ctx context.Context) (*clientv3.AlarmMember, error) {
	alarms, err := e.client.AlarmList(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask etcd for alarms: %w", err)
	}
	for _, alarm := range alarms.Alarms {
		if alarm.GetAlarm() == etcdserverpb.AlarmType_NOSPACE {
			return &clientv3.AlarmMember{MemberID: alarm.GetMemberID(), Alarm: alarm.GetAlarm()}, nil
		}
	}
	return nil, nil
}
