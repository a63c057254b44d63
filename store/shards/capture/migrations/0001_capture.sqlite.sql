-- While a shard of the table moves, the keys of the rows that change are noted.
CREATE TRIGGER "warren_shard_{table}_insert" AFTER INSERT ON "{table}"
WHEN EXISTS (SELECT 1 FROM warren_shard_owners WHERE shard = NEW."{shard}" AND capture)
BEGIN
	INSERT INTO warren_shard_changes (shard, table_name, row_key) VALUES (NEW."{shard}", '{table}', json_array({new}));
END;
CREATE TRIGGER "warren_shard_{table}_update" AFTER UPDATE ON "{table}"
WHEN EXISTS (SELECT 1 FROM warren_shard_owners WHERE shard IN (OLD."{shard}", NEW."{shard}") AND capture)
BEGIN
	INSERT INTO warren_shard_changes (shard, table_name, row_key) VALUES (OLD."{shard}", '{table}', json_array({old}));
	INSERT INTO warren_shard_changes (shard, table_name, row_key) SELECT NEW."{shard}", '{table}', json_array({new}) WHERE {changed};
END;
CREATE TRIGGER "warren_shard_{table}_delete" AFTER DELETE ON "{table}"
WHEN EXISTS (SELECT 1 FROM warren_shard_owners WHERE shard = OLD."{shard}" AND capture)
BEGIN
	INSERT INTO warren_shard_changes (shard, table_name, row_key) VALUES (OLD."{shard}", '{table}', json_array({old}));
END;
