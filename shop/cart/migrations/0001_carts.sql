CREATE TABLE carts (
	-- Whose it is: a user, or a visitor's token, hashed.
	owner VARCHAR(200) NOT NULL,
	visitor BOOLEAN NOT NULL,
	version BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (owner)
);
CREATE INDEX carts_by_age ON carts (visitor, update_time);
CREATE TABLE cart_lines (
	owner VARCHAR(200) NOT NULL,
	position BIGINT NOT NULL,
	sku VARCHAR(32) NOT NULL,
	quantity BIGINT NOT NULL,
	PRIMARY KEY (owner, position)
);
