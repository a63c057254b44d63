CREATE TABLE shipments (
	id VARCHAR(128) NOT NULL,
	-- Empty where a shipment was cancelled before it was created.
	order_id VARCHAR(128) NOT NULL,
	customer_id VARCHAR(128) NOT NULL,
	state BIGINT NOT NULL,
	dispatched BOOLEAN NOT NULL,
	name VARCHAR(100) NOT NULL,
	street VARCHAR(200) NOT NULL,
	city VARCHAR(100) NOT NULL,
	postal_code VARCHAR(20) NOT NULL,
	country_code VARCHAR(2) NOT NULL,
	tracking_number VARCHAR(40) NOT NULL,
	-- How often the carrier has tried the next step in vain.
	attempts BIGINT NOT NULL,
	-- Whether the carrier has something to do, and when.
	moving BOOLEAN NOT NULL,
	next_time BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX shipments_by_order ON shipments (order_id, create_time);
CREATE INDEX shipments_by_time ON shipments (create_time, id);
CREATE INDEX shipments_by_state ON shipments (state, create_time, id);
CREATE INDEX shipments_due ON shipments (moving, next_time);
CREATE TABLE shipment_lines (
	shipment_id VARCHAR(128) NOT NULL,
	position BIGINT NOT NULL,
	sku VARCHAR(32) NOT NULL,
	quantity BIGINT NOT NULL,
	PRIMARY KEY (shipment_id, position)
);
-- What happened to a shipment, never changed itself.
CREATE TABLE tracking (
	shipment_id VARCHAR(128) NOT NULL,
	number BIGINT NOT NULL,
	state BIGINT NOT NULL,
	event VARCHAR(200) NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (shipment_id, number)
);
