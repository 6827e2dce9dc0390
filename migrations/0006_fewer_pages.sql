-- Accepting a push changes two pages less, each of which is written out at its commit.

-- A small case stands in the row of its push, with the id of the lane and the external id of given_id. A large one stays in
-- `incidents`, so that a step does not write it anew; these are null then.
ALTER TABLE pushes ADD COLUMN title TEXT;
ALTER TABLE pushes ADD COLUMN description TEXT;
ALTER TABLE pushes ADD COLUMN severity TEXT;
ALTER TABLE pushes ADD COLUMN status TEXT;
ALTER TABLE pushes ADD COLUMN tags TEXT;
ALTER TABLE pushes ADD COLUMN fields TEXT;
ALTER TABLE pushes ADD COLUMN traceparent TEXT;

-- Every case, wherever it stands.
CREATE VIEW cases (
  push_id, title, description, case_id, severity, status, tags, external_id, fields, traceparent
) AS
SELECT id, title, description, CASE WHEN lane GLOB 'c:*' THEN substr(lane, 3) END, severity, status, tags, given_id,
  fields, traceparent
FROM pushes WHERE title IS NOT NULL
UNION ALL
SELECT push_id, title, description, case_id, severity, status, tags, external_id, fields, traceparent
FROM incidents;

-- The counters count the pushes up to this one. Those after it, a few hundred at most, are counted where they stand.
ALTER TABLE numbering ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
UPDATE numbering SET counted = coalesce((SELECT max(id) FROM pushes), 0);

DROP TRIGGER pushes_moved;
CREATE TRIGGER pushes_moved AFTER UPDATE OF state ON pushes
WHEN old.state <> new.state AND old.id <= (SELECT counted FROM numbering) BEGIN
  UPDATE counters SET n = n - 1 WHERE connector_id = old.connector_id AND state = old.state;
  UPDATE counters SET n = n + 1 WHERE connector_id = new.connector_id AND state = new.state;
END;

DROP TRIGGER pushes_uncounted;
CREATE TRIGGER pushes_uncounted AFTER DELETE ON pushes BEGIN
  UPDATE counters SET n = n - (old.id <= (SELECT counted FROM numbering)), gone = gone + 1
    WHERE connector_id = old.connector_id AND state = old.state;
  UPDATE numbering SET highest = old.id WHERE highest < old.id;
END;

-- How many pushes there are, in rows to be summed up.
CREATE VIEW counts (connector_id, state, n) AS
SELECT connector_id, state, n FROM counters
UNION ALL
SELECT connector_id, state, 1 FROM pushes WHERE id > (SELECT counted FROM numbering);
