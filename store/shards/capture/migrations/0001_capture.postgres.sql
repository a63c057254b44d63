-- While a shard of the table moves, the keys of the rows that change are noted.
CREATE FUNCTION "warren_shard_{table}"() RETURNS trigger LANGUAGE plpgsql AS $capture$
BEGIN
	IF TG_OP <> 'INSERT' AND EXISTS (SELECT 1 FROM warren_shard_owners WHERE shard = OLD."{shard}" AND capture) THEN
		INSERT INTO warren_shard_changes (shard, table_name, row_key) VALUES (OLD."{shard}", '{table}', json_build_array({old})::text);
	END IF;
	IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND NOT ({changed}) THEN
		RETURN NULL;
	END IF;
	IF EXISTS (SELECT 1 FROM warren_shard_owners WHERE shard = NEW."{shard}" AND capture) THEN
		INSERT INTO warren_shard_changes (shard, table_name, row_key) VALUES (NEW."{shard}", '{table}', json_build_array({new})::text);
	END IF;
	RETURN NULL;
END $capture$;
CREATE TRIGGER "warren_shard_{table}_change" AFTER INSERT OR UPDATE OR DELETE ON "{table}"
FOR EACH ROW EXECUTE FUNCTION "warren_shard_{table}"();
