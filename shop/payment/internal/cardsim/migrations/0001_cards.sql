-- What a token stands for. The number of the card is nowhere.
CREATE TABLE cardsim_tokens (
	token VARCHAR(64) NOT NULL,
	behaviour VARCHAR(40) NOT NULL,
	PRIMARY KEY (token)
);
CREATE TABLE cardsim_charges (
	id VARCHAR(64) NOT NULL,
	token VARCHAR(64) NOT NULL,
	units BIGINT NOT NULL,
	currency VARCHAR(3) NOT NULL,
	-- approved or declined, and from when on it may be told
	status VARCHAR(10) NOT NULL,
	reason VARCHAR(100) NOT NULL,
	known_time BIGINT NOT NULL,
	-- How often the merchant is yet to be told, and when next.
	reports BIGINT NOT NULL,
	report_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX cardsim_charges_by_report ON cardsim_charges (reports, report_time);
