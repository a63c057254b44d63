-- Which catalogues were filled in by the service itself: who inserts the row
-- does it, and everybody else waits for that.
CREATE TABLE seeds (
	name VARCHAR(100) NOT NULL,
	seed_time BIGINT NOT NULL,
	rows_read BIGINT NOT NULL,
	created BIGINT NOT NULL,
	unchanged BIGINT NOT NULL,
	refused BIGINT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE seed_refusals (
	seed VARCHAR(100) NOT NULL,
	line BIGINT NOT NULL,
	sku VARCHAR(100) NOT NULL,
	reason VARCHAR(40) NOT NULL,
	message VARCHAR(500) NOT NULL,
	PRIMARY KEY (seed, line)
);
