-- While a shard of the table moves, the keys of the rows that change are noted.
CREATE TRIGGER "warren_shard_{table}_insert" AFTER INSERT ON "{table}" FOR EACH ROW
INSERT INTO warren_shard_changes (shard, table_name, row_key)
SELECT NEW."{shard}", '{table}', JSON_ARRAY({new}) FROM warren_shard_owners o WHERE o.shard = NEW."{shard}" AND o.capture;
CREATE TRIGGER "warren_shard_{table}_update" AFTER UPDATE ON "{table}" FOR EACH ROW
INSERT INTO warren_shard_changes (shard, table_name, row_key)
SELECT OLD."{shard}", '{table}', JSON_ARRAY({old}) FROM warren_shard_owners o WHERE o.shard = OLD."{shard}" AND o.capture
UNION ALL
SELECT NEW."{shard}", '{table}', JSON_ARRAY({new}) FROM warren_shard_owners o WHERE o.shard = NEW."{shard}" AND o.capture AND ({changed});
CREATE TRIGGER "warren_shard_{table}_delete" AFTER DELETE ON "{table}" FOR EACH ROW
INSERT INTO warren_shard_changes (shard, table_name, row_key)
SELECT OLD."{shard}", '{table}', JSON_ARRAY({old}) FROM warren_shard_owners o WHERE o.shard = OLD."{shard}" AND o.capture;
