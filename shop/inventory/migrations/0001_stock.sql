CREATE TABLE stock (
	sku VARCHAR(32) NOT NULL,
	on_hand BIGINT NOT NULL,
	reserved BIGINT NOT NULL,
	-- Goes up by one with each movement, so that none can be missing.
	version BIGINT NOT NULL,
	-- The version that was told to others last.
	told BIGINT NOT NULL,
	-- Whether version has gone past told: what is to be told is found quickly.
	untold BOOLEAN NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (sku),
	-- The program sees to it; should it ever be wrong, nothing is promised that
	-- is not there.
	CHECK (reserved >= 0 AND on_hand >= reserved)
);
CREATE INDEX stock_untold ON stock (untold, sku);
-- Every change of stock, never changed itself. The rows of a product sum up to
-- its stock.
CREATE TABLE movements (
	sku VARCHAR(32) NOT NULL,
	-- Of the stock after it.
	version BIGINT NOT NULL,
	kind BIGINT NOT NULL,
	on_hand BIGINT NOT NULL,
	reserved BIGINT NOT NULL,
	reference VARCHAR(128) NOT NULL,
	reason VARCHAR(200) NOT NULL,
	author VARCHAR(128) NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (sku, version)
);
