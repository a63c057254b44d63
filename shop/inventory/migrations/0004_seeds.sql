-- Which catalogues were given their first stock: that is done once.
CREATE TABLE seeds (
	name VARCHAR(100) NOT NULL,
	products BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (name)
);
