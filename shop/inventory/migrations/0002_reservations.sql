CREATE TABLE reservations (
	id VARCHAR(128) NOT NULL,
	state BIGINT NOT NULL,
	expire_time BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX reservations_due ON reservations (state, expire_time);
CREATE TABLE reservation_lines (
	reservation_id VARCHAR(128) NOT NULL,
	sku VARCHAR(32) NOT NULL,
	quantity BIGINT NOT NULL,
	PRIMARY KEY (reservation_id, sku)
);
-- What a return put back, so that it does so once.
CREATE TABLE returns (
	id VARCHAR(128) NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE return_lines (
	return_id VARCHAR(128) NOT NULL,
	sku VARCHAR(32) NOT NULL,
	quantity BIGINT NOT NULL,
	PRIMARY KEY (return_id, sku)
);
