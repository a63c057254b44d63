CREATE TABLE products (
	sku VARCHAR(32) NOT NULL,
	name VARCHAR(200) NOT NULL,
	description VARCHAR(4000) NOT NULL,
	category VARCHAR(100) NOT NULL,
	price_units BIGINT NOT NULL,
	currency VARCHAR(3) NOT NULL,
	version BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	-- What search looks through: lower case, without accents and signs, a space
	-- before and after each word.
	search_name VARCHAR(1000) NOT NULL,
	search_text TEXT NOT NULL,
	PRIMARY KEY (sku)
);
CREATE INDEX products_by_category ON products (category, sku);
