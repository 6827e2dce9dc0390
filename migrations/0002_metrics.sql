-- What people watch: exchanges by step and end, and what left the tables; a push's trace context.

-- One row for each connector, step, end and class of duration that has occurred. Only grows.
CREATE TABLE exchanges (
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  step TEXT NOT NULL,
  -- The failure class; empty for what succeeded.
  class TEXT NOT NULL,
  -- The bound that the durations of this row did not exceed; the largest integer where they exceeded every one.
  within_ms INTEGER NOT NULL,
  n INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  bytes_sent INTEGER NOT NULL,
  bytes_received INTEGER NOT NULL,
  PRIMARY KEY (connector_id, step, class, within_ms)
) STRICT, WITHOUT ROWID;

-- Pushes that were in this state when they were pruned or discarded.
ALTER TABLE counters ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER pushes_uncounted;

CREATE TRIGGER pushes_uncounted AFTER DELETE ON pushes BEGIN
  UPDATE counters SET n = n - 1, gone = gone + 1
    WHERE connector_id = old.connector_id AND state = old.state;
END;

ALTER TABLE incidents ADD COLUMN traceparent TEXT;
