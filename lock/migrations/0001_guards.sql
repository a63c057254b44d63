-- The newest token that was seen of each lock.
CREATE TABLE warren_lock_guards (
	name  VARCHAR(200) NOT NULL PRIMARY KEY,
	token BIGINT NOT NULL
);
