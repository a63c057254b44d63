-- By what the databases are told apart in what is said of them; home is 0.
ALTER TABLE warren_shard_members ADD COLUMN number BIGINT NOT NULL DEFAULT 0;

-- At home: what people did with shards.
CREATE TABLE warren_shard_actions (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	shard BIGINT NOT NULL,
	action VARCHAR(20) NOT NULL,
	target TEXT NOT NULL,
	author VARCHAR(200) NOT NULL,
	reason TEXT NOT NULL,
	acted_at BIGINT NOT NULL
);
CREATE INDEX warren_shard_actions_shard ON warren_shard_actions (shard, acted_at);
