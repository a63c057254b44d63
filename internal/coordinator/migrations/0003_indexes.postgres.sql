-- Indexes hold what they are searched for only: what has not ended, is parked, or
-- has ended. A transaction that ends is written into one of them and not into all.
DROP INDEX warren_txn_active;
CREATE INDEX warren_txn_active ON warren_txn (owner, gid) WHERE active = 1;
CREATE INDEX warren_txn_parked ON warren_txn (gid) WHERE active = 0 AND ended_at = 0;
DROP INDEX warren_txn_ended;
CREATE INDEX warren_txn_ended ON warren_txn (ended_at) WHERE ended_at > 0;
