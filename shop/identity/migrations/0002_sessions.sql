-- A session is a family of refresh tokens, each made in exchange for the one
-- before. When it has ended none of them counts any more.
CREATE TABLE sessions (
	id VARCHAR(40) NOT NULL,
	user_id VARCHAR(40) NOT NULL,
	create_time BIGINT NOT NULL,
	expire_time BIGINT NOT NULL,
	end_time BIGINT,
	end_reason VARCHAR(40) NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expire_time);
CREATE TABLE refresh_tokens (
	-- The token itself is kept nowhere.
	hash VARCHAR(64) NOT NULL,
	session_id VARCHAR(40) NOT NULL,
	expire_time BIGINT NOT NULL,
	use_time BIGINT,
	PRIMARY KEY (hash),
	FOREIGN KEY (session_id) REFERENCES sessions (id)
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expire_time);
-- How often somebody tried to sign in to an account, existing or not.
CREATE TABLE attempts (
	account VARCHAR(64) NOT NULL,
	tries BIGINT NOT NULL,
	window_time BIGINT NOT NULL,
	PRIMARY KEY (account)
);
CREATE INDEX attempts_by_time ON attempts (window_time);
