-- The last version of products that were removed: one that comes back goes on
-- from there, so that no version number ever means two contents.
CREATE TABLE removed_products (
	sku VARCHAR(32) NOT NULL,
	version BIGINT NOT NULL,
	PRIMARY KEY (sku)
);
