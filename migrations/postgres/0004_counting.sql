-- A transaction that stores or ends many pushes spreads what it counts over many rows, some changes to each: every change of
-- a row leaves an older one behind, which all later changes in the same transaction would have to go through.

CREATE OR REPLACE FUNCTION casehook_counted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  -- How many changes this transaction has counted.
  counted bigint := coalesce(nullif(current_setting('casehook.counted', true), ''), '0')::bigint;
  part bigint := pg_backend_pid() + ((counted / 64) << 32);
BEGIN
  PERFORM set_config('casehook.counted', (counted + 1)::text, true);
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO counters AS c (connector_id, state, shard, n, gone)
    VALUES (OLD.connector_id, OLD.state, part, -1, (TG_OP = 'DELETE')::int)
    ON CONFLICT (connector_id, state, shard) DO UPDATE SET n = c.n - 1, gone = c.gone + EXCLUDED.gone;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO counters AS c (connector_id, state, shard, n)
    VALUES (NEW.connector_id, NEW.state, part, 1)
    ON CONFLICT (connector_id, state, shard) DO UPDATE SET n = c.n + 1;
  END IF;
  RETURN NULL;
END
$$;
