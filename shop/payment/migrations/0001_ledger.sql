CREATE TABLE accounts (
	id VARCHAR(100) NOT NULL,
	-- wallet, held, sales or cards
	kind VARCHAR(10) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	balance BIGINT NOT NULL,
	entries BIGINT NOT NULL,
	PRIMARY KEY (id),
	-- The program says so first; this is for the day on which it doesn't.
	CONSTRAINT accounts_below_zero CHECK (balance >= 0 OR kind = 'cards')
);
CREATE TABLE transactions (
	-- What it is, and what for: so that nothing is posted twice.
	id VARCHAR(100) NOT NULL,
	kind VARCHAR(10) NOT NULL,
	reference VARCHAR(64) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE entries (
	account_id VARCHAR(100) NOT NULL,
	-- From 1, without a gap.
	seq BIGINT NOT NULL,
	transaction_id VARCHAR(100) NOT NULL,
	-- Credit above zero, debit below.
	amount BIGINT NOT NULL,
	-- Of the account, afterwards.
	balance BIGINT NOT NULL,
	PRIMARY KEY (account_id, seq),
	FOREIGN KEY (account_id) REFERENCES accounts (id),
	FOREIGN KEY (transaction_id) REFERENCES transactions (id)
);
CREATE INDEX entries_by_transaction ON entries (transaction_id);
