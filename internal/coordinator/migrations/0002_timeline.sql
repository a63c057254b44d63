-- When the call that did a branch, or undid it, began, and how long it took, if
-- it succeeded at first: then it is no attempt.
ALTER TABLE warren_txn_branch ADD COLUMN did_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE warren_txn_branch ADD COLUMN did_took BIGINT NOT NULL DEFAULT 0;
ALTER TABLE warren_txn_branch ADD COLUMN undid_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE warren_txn_branch ADD COLUMN undid_took BIGINT NOT NULL DEFAULT 0;

-- Why a transaction is parked, beside why it is turned back.
ALTER TABLE warren_txn ADD COLUMN park_reason TEXT;
ALTER TABLE warren_txn ADD COLUMN park_branch VARCHAR(128) NOT NULL DEFAULT '';

-- Who takes part in two-phase commits, and may have something prepared.
CREATE TABLE warren_txn_participant (
	service VARCHAR(128) NOT NULL PRIMARY KEY
);
