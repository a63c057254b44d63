-- The rows of a shard on the move that were changed since it began.
CREATE TABLE warren_shard_changes (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	shard BIGINT NOT NULL,
	table_name VARCHAR(64) NOT NULL,
	row_key LONGTEXT NOT NULL
);
CREATE INDEX warren_shard_changes_shard ON warren_shard_changes (shard, seq);
