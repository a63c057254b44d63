-- What a transaction publishes, until the broker has it, and for a while longer.
CREATE TABLE warren_outbox (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	id VARCHAR(64) NOT NULL,
	topic VARCHAR(200) NOT NULL,
	event_key VARCHAR(200) NOT NULL,
	headers LONGTEXT NOT NULL,
	payload LONGBLOB NOT NULL,
	created_at BIGINT NOT NULL,
	state BIGINT NOT NULL,
	sent_at BIGINT NOT NULL,
	UNIQUE (id)
);
CREATE INDEX warren_outbox_state ON warren_outbox (state, seq);
CREATE INDEX warren_outbox_sent ON warren_outbox (state, sent_at);

-- Who publishes right now, and which life of the broker it was that took what is sent.
CREATE TABLE warren_relay (
	name VARCHAR(64) NOT NULL PRIMARY KEY,
	owner VARCHAR(64) NOT NULL,
	lease_until BIGINT NOT NULL,
	incarnation VARCHAR(200) NOT NULL
);
INSERT INTO warren_relay (name, owner, lease_until, incarnation) VALUES ('outbox', '', 0, '');

-- What a group has taken on: done, or waiting below.
CREATE TABLE warren_inbox (
	consumer_group VARCHAR(100) NOT NULL,
	message_id VARCHAR(64) NOT NULL,
	received_at BIGINT NOT NULL,
	PRIMARY KEY (consumer_group, message_id)
);
CREATE INDEX warren_inbox_received ON warren_inbox (received_at);

-- What is to be tried again, and what waits behind it for the order of its key.
CREATE TABLE warren_retries (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	consumer_group VARCHAR(100) NOT NULL,
	message_id VARCHAR(64) NOT NULL,
	topic VARCHAR(200) NOT NULL,
	event_key VARCHAR(200) NOT NULL,
	headers LONGTEXT NOT NULL,
	payload LONGBLOB NOT NULL,
	published_at BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	reason LONGTEXT NOT NULL,
	UNIQUE (consumer_group, message_id)
);
CREATE INDEX warren_retries_key ON warren_retries (consumer_group, topic, event_key, seq);
CREATE INDEX warren_retries_due ON warren_retries (due_at);

-- What was given up. The group is empty where the broker refused it.
CREATE TABLE warren_dead_letters (
	id VARCHAR(64) NOT NULL PRIMARY KEY,
	consumer_group VARCHAR(100) NOT NULL,
	message_id VARCHAR(64) NOT NULL,
	topic VARCHAR(200) NOT NULL,
	event_key VARCHAR(200) NOT NULL,
	headers LONGTEXT NOT NULL,
	payload LONGBLOB NOT NULL,
	published_at BIGINT NOT NULL,
	handler VARCHAR(200) NOT NULL,
	attempts BIGINT NOT NULL,
	reason LONGTEXT NOT NULL,
	state VARCHAR(20) NOT NULL,
	died_at BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	UNIQUE (consumer_group, message_id)
);
CREATE INDEX warren_dead_letters_state ON warren_dead_letters (state, died_at);

CREATE TABLE warren_dead_letter_actions (
	seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	letter_id VARCHAR(64) NOT NULL,
	action VARCHAR(20) NOT NULL,
	author VARCHAR(200) NOT NULL,
	reason LONGTEXT NOT NULL,
	acted_at BIGINT NOT NULL
);
CREATE INDEX warren_dead_letter_actions_letter ON warren_dead_letter_actions (letter_id, seq);
