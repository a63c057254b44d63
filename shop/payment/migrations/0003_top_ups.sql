CREATE TABLE top_ups (
	id VARCHAR(64) NOT NULL,
	customer_id VARCHAR(64) NOT NULL,
	-- pending, confirmed or declined
	state VARCHAR(10) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	amount BIGINT NOT NULL,
	-- The provider's name for the card.
	card_token VARCHAR(64) NOT NULL,
	card_last_four VARCHAR(4) NOT NULL,
	decline_reason VARCHAR(100) NOT NULL,
	attempts BIGINT NOT NULL,
	-- When the provider is asked next.
	due_time BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX top_ups_by_due ON top_ups (state, due_time);
