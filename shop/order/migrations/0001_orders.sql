CREATE TABLE orders (
	order_id         VARCHAR(40)  NOT NULL PRIMARY KEY,
	shard            BIGINT       NOT NULL,
	customer_id      VARCHAR(64)  NOT NULL,
	state            BIGINT       NOT NULL,
	total_units      BIGINT       NOT NULL,
	currency         VARCHAR(3)   NOT NULL,
	address_name     VARCHAR(200) NOT NULL,
	address_street   VARCHAR(400) NOT NULL,
	address_city     VARCHAR(200) NOT NULL,
	address_postcode VARCHAR(40)  NOT NULL,
	address_country  VARCHAR(2)   NOT NULL,
	reason           TEXT         NOT NULL,
	stop_wanted      BOOLEAN      NOT NULL,
	version          BIGINT       NOT NULL,
	created_at       BIGINT       NOT NULL,
	updated_at       BIGINT       NOT NULL
);

-- A customer's orders, the latest first: ids go up with time.
CREATE INDEX orders_of_customer ON orders (customer_id, order_id);

CREATE INDEX orders_of_shard ON orders (shard, order_id);

CREATE TABLE order_lines (
	order_id    VARCHAR(40)  NOT NULL,
	place       BIGINT       NOT NULL,
	shard       BIGINT       NOT NULL,
	sku         VARCHAR(64)  NOT NULL,
	name        VARCHAR(400) NOT NULL,
	quantity    BIGINT       NOT NULL,
	price_units BIGINT       NOT NULL,
	PRIMARY KEY (order_id, place)
);

CREATE INDEX order_lines_of_shard ON order_lines (shard, order_id);

CREATE TABLE order_changes (
	order_id   VARCHAR(40) NOT NULL,
	place      BIGINT      NOT NULL,
	shard      BIGINT      NOT NULL,
	state      BIGINT      NOT NULL,
	reason     TEXT        NOT NULL,
	changed_at BIGINT      NOT NULL,
	PRIMARY KEY (order_id, place)
);

CREATE INDEX order_changes_of_shard ON order_changes (shard, order_id);
