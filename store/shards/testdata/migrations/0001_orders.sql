CREATE TABLE orders (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	shard BIGINT NOT NULL,
	customer VARCHAR(64) NOT NULL,
	amount BIGINT NOT NULL,
	paid BOOLEAN NOT NULL,
	weight DOUBLE PRECISION NOT NULL,
	note TEXT,
	document BLOB,
	UNIQUE (customer)
);
CREATE INDEX orders_shard ON orders (shard, id);
CREATE TABLE order_lines (
	order_id VARCHAR(64) NOT NULL,
	number BIGINT NOT NULL,
	shard BIGINT NOT NULL,
	sku VARCHAR(200) NOT NULL,
	PRIMARY KEY (order_id, number),
	FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
);
CREATE INDEX lines_shard ON order_lines (shard, order_id, number);
