-- With what page tokens are signed: one row, shared by all instances.
CREATE TABLE page_keys (
	id BIGINT NOT NULL,
	secret VARCHAR(64) NOT NULL,
	PRIMARY KEY (id)
);
