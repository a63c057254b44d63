CREATE TABLE users (
	id VARCHAR(40) NOT NULL,
	-- As it was given, but for its normal form.
	email VARCHAR(254) NOT NULL,
	-- What makes two addresses one.
	email_key VARCHAR(254) NOT NULL,
	display_name VARCHAR(100) NOT NULL,
	-- Argon2id, in the PHC string format, with its parameters.
	password_hash VARCHAR(200) NOT NULL,
	role_customer BOOLEAN NOT NULL,
	role_staff BOOLEAN NOT NULL,
	role_admin BOOLEAN NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX users_by_email ON users (email_key);
CREATE INDEX users_by_time ON users (create_time, id);
CREATE INDEX users_by_admin ON users (role_admin, id);
