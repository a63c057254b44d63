CREATE TABLE payments (
	id VARCHAR(64) NOT NULL,
	customer_id VARCHAR(64) NOT NULL,
	-- held, voided or captured
	state VARCHAR(10) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	amount BIGINT NOT NULL,
	captured BIGINT NOT NULL,
	refunded BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT payments_bounded CHECK (captured >= 0 AND refunded >= 0 AND captured <= amount AND refunded <= captured)
);
CREATE INDEX payments_by_customer ON payments (customer_id, state);
CREATE TABLE refunds (
	id VARCHAR(64) NOT NULL,
	payment_id VARCHAR(64) NOT NULL,
	amount BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY (payment_id) REFERENCES payments (id)
);
CREATE INDEX refunds_by_payment ON refunds (payment_id);
