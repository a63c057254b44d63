-- The keys that sign access tokens. They stand here in the clear, so that all
-- instances share them: whoever reads this table can be anybody.
CREATE TABLE signing_keys (
	id VARCHAR(64) NOT NULL,
	private_key VARCHAR(500) NOT NULL,
	create_time BIGINT NOT NULL,
	active_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
-- With what page tokens are signed: one row, shared by all instances.
CREATE TABLE page_keys (
	id BIGINT NOT NULL,
	secret VARCHAR(64) NOT NULL,
	PRIMARY KEY (id)
);
-- Who locks a row does alone what the row is named after.
CREATE TABLE locks (
	name VARCHAR(40) NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO locks (name) VALUES ('signing keys'), ('first admin');
