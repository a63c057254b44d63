-- The shard whose transaction it was, and with which the row moves; -1: none.
ALTER TABLE warren_barrier ADD COLUMN shard BIGINT NOT NULL DEFAULT -1;
