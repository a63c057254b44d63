CREATE TABLE emails (
	-- That of the notification.
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	-- What the template needs, as JSON.
	facts TEXT NOT NULL,
	-- waiting, sent or parked
	state VARCHAR(10) NOT NULL,
	attempts BIGINT NOT NULL,
	last_error VARCHAR(300) NOT NULL,
	due_time BIGINT NOT NULL,
	create_time BIGINT NOT NULL,
	update_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX emails_by_due ON emails (state, due_time);
CREATE INDEX emails_by_time ON emails (state, create_time, id);
CREATE INDEX emails_by_user ON emails (user_id, state);
-- Where e-mails go while no mail server is set.
CREATE TABLE inbox (
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	subject VARCHAR(300) NOT NULL,
	body TEXT NOT NULL,
	html TEXT NOT NULL,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX inbox_by_time ON inbox (create_time);
