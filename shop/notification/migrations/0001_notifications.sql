CREATE TABLE notifications (
	-- Made of what it is about: so nothing is told twice.
	id VARCHAR(64) NOT NULL,
	user_id VARCHAR(64) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	order_id VARCHAR(64) NOT NULL,
	title VARCHAR(300) NOT NULL,
	body TEXT NOT NULL,
	read_time BIGINT,
	create_time BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX notifications_by_user ON notifications (user_id, create_time, id);
CREATE INDEX notifications_by_time ON notifications (create_time);
-- Where e-mails to a user go.
CREATE TABLE contacts (
	user_id VARCHAR(64) NOT NULL,
	email VARCHAR(254) NOT NULL,
	display_name VARCHAR(100) NOT NULL,
	PRIMARY KEY (user_id)
);
