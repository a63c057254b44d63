-- What was asked under an idempotency key, and what was answered.
CREATE TABLE warren_idempotency (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	shard BIGINT NOT NULL,
	method VARCHAR(200) NOT NULL,
	request VARCHAR(64) NOT NULL,
	state VARCHAR(10) NOT NULL,
	owner VARCHAR(32) NOT NULL,
	answer BLOB,
	until_at BIGINT NOT NULL
);
CREATE INDEX warren_idempotency_until ON warren_idempotency (shard, state, until_at);
