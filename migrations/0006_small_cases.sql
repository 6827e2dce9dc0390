-- A small case stands in the row of its push: one page less to be written at its commit. A large one stays apart, so that a
-- step does not write it anew.

-- Null where the case is in `incidents`. Its id and external id are those of the lane and of given_id then.
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
