-- What was done, or barred, for the branches of transactions. done_by is the
-- operation that wrote the row: of an action's row either the action itself, or
-- what came before it and bars it.
CREATE TABLE warren_barrier (
	gid VARCHAR(128) NOT NULL,
	branch VARCHAR(128) NOT NULL,
	op VARCHAR(16) NOT NULL,
	step VARCHAR(100) NOT NULL,
	done_by VARCHAR(16) NOT NULL,
	response BLOB NOT NULL,
	repeats BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	PRIMARY KEY (gid, branch, op, step)
);
CREATE INDEX warren_barrier_created ON warren_barrier (created_at);

-- Which branches the prepared transactions of the database are of: what they did
-- themselves nobody sees yet.
CREATE TABLE warren_prepared (
	name VARCHAR(64) NOT NULL PRIMARY KEY,
	gid VARCHAR(128) NOT NULL,
	branch VARCHAR(128) NOT NULL,
	answered BOOLEAN NOT NULL,
	response BLOB NOT NULL,
	created_at BIGINT NOT NULL
);
