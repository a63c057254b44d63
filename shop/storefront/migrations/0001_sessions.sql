CREATE TABLE sessions (
	-- The hash of the secret in the visitor's cookie.
	id VARCHAR(64) NOT NULL,
	version BIGINT NOT NULL,
	-- Encrypted with a key that is made of the same secret.
	content TEXT NOT NULL,
	-- Until when somebody has the right to renew the tokens in it.
	lease_time BIGINT NOT NULL,
	expire_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX sessions_by_end ON sessions (expire_time);
