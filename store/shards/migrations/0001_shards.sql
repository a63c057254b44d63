-- What this database is in the set of databases: one row.
CREATE TABLE warren_shard_set (
	one BIGINT NOT NULL PRIMARY KEY,
	set_id VARCHAR(64) NOT NULL,
	member VARCHAR(64) NOT NULL,
	home BOOLEAN NOT NULL,
	shards BIGINT NOT NULL
);

-- At home: the databases, and which of them owns which shard. The map decides.
CREATE TABLE warren_shard_members (
	member VARCHAR(64) NOT NULL PRIMARY KEY,
	url TEXT NOT NULL
);
CREATE TABLE warren_shard_map (
	shard BIGINT NOT NULL PRIMARY KEY,
	member VARCHAR(64) NOT NULL,
	epoch BIGINT NOT NULL,
	moving_to VARCHAR(64) NOT NULL,
	left_behind VARCHAR(64) NOT NULL
);

-- In each database: the shards that it has or had. Every transaction looks here.
CREATE TABLE warren_shard_owners (
	shard BIGINT NOT NULL PRIMARY KEY,
	state VARCHAR(20) NOT NULL,
	epoch BIGINT NOT NULL,
	capture BOOLEAN NOT NULL
);
-- Who is here, waits: somebody wants the row above for himself.
CREATE TABLE warren_shard_fences (
	shard BIGINT NOT NULL PRIMARY KEY,
	epoch BIGINT NOT NULL
);
-- How far a shard has come in, table by table.
CREATE TABLE warren_shard_progress (
	shard BIGINT NOT NULL,
	table_name VARCHAR(64) NOT NULL,
	last_key TEXT NOT NULL,
	copied BIGINT NOT NULL,
	complete BOOLEAN NOT NULL,
	PRIMARY KEY (shard, table_name)
);
