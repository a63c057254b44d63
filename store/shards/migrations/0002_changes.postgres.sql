-- The rows of a shard on the move that were changed since it began.
CREATE TABLE warren_shard_changes (
	seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	shard BIGINT NOT NULL,
	table_name VARCHAR(64) NOT NULL,
	row_key TEXT NOT NULL
);
CREATE INDEX warren_shard_changes_shard ON warren_shard_changes (shard, seq);
