-- A transaction that has not ended and is not parked is active: somebody owns
-- it, or should. Every write of its owner is for its epoch.
CREATE TABLE warren_txn (
	gid VARCHAR(128) NOT NULL PRIMARY KEY,
	name VARCHAR(128) NOT NULL,
	pattern BIGINT NOT NULL,
	state BIGINT NOT NULL,
	parked BIGINT NOT NULL,
	active BIGINT NOT NULL,
	owner VARCHAR(64) NOT NULL,
	epoch BIGINT NOT NULL,
	token VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	definition BLOB NOT NULL,
	reason TEXT NOT NULL,
	reason_branch VARCHAR(128) NOT NULL,
	reason_code BIGINT NOT NULL,
	reason_status BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL,
	deadline_at BIGINT NOT NULL,
	trace VARCHAR(128) NOT NULL
);
CREATE INDEX warren_txn_active ON warren_txn (active, owner);
CREATE INDEX warren_txn_created ON warren_txn (created_at, gid);
CREATE INDEX warren_txn_ended ON warren_txn (ended_at);

-- What is known of a branch. One of a saga has no row until something happened.
CREATE TABLE warren_txn_branch (
	gid VARCHAR(128) NOT NULL,
	name VARCHAR(128) NOT NULL,
	position BIGINT NOT NULL,
	state BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	stuck BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	response BLOB NOT NULL,
	error TEXT NOT NULL,
	definition BLOB NOT NULL,
	PRIMARY KEY (gid, name)
);

-- Calls, but not those that succeeded at first.
CREATE TABLE warren_txn_attempt (
	gid VARCHAR(128) NOT NULL,
	epoch BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	branch VARCHAR(128) NOT NULL,
	op BIGINT NOT NULL,
	number BIGINT NOT NULL,
	node VARCHAR(64) NOT NULL,
	started_at BIGINT NOT NULL,
	took BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	after_micros BIGINT NOT NULL,
	code BIGINT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (gid, epoch, seq)
);

-- What operators did.
CREATE TABLE warren_txn_action (
	gid VARCHAR(128) NOT NULL,
	id VARCHAR(64) NOT NULL,
	acted_at BIGINT NOT NULL,
	what VARCHAR(20) NOT NULL,
	branch VARCHAR(128) NOT NULL,
	author VARCHAR(200) NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (gid, id)
);

-- Who claims what: one holder for each key, and those who wait, in their order.
CREATE TABLE warren_txn_lock (
	lock_key VARCHAR(256) NOT NULL PRIMARY KEY,
	holder VARCHAR(128) NOT NULL
);
CREATE INDEX warren_txn_lock_holder ON warren_txn_lock (holder);
CREATE TABLE warren_txn_lock_wait (
	lock_key VARCHAR(256) NOT NULL,
	gid VARCHAR(128) NOT NULL,
	asked_at BIGINT NOT NULL,
	PRIMARY KEY (lock_key, gid)
);
CREATE INDEX warren_txn_lock_wait_gid ON warren_txn_lock_wait (gid);

-- The coordinators. One whose beat stands still is dead.
CREATE TABLE warren_txn_node (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	beat BIGINT NOT NULL
);

-- The key of the page tokens.
CREATE TABLE page_keys (
	id BIGINT NOT NULL PRIMARY KEY,
	secret VARCHAR(64) NOT NULL
);
