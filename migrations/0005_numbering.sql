-- A push changes as few pages as can be: each is written out at its commit.

-- The highest number of a push that is no more. No number is given twice: the next one is above this and above every push.
CREATE TABLE numbering (highest INTEGER NOT NULL) STRICT;
INSERT INTO numbering (highest) SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'pushes'), 0);

-- Without AUTOINCREMENT, which writes a page of its own for each. Run with foreign keys off: rows of other tables stay.
CREATE TABLE pushes_anew (
  id INTEGER PRIMARY KEY,
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  -- What orders pushes: 'c:' and the case id, else 'x:' and the given external id.
  lane TEXT,
  given_id TEXT,
  -- One comparison each: for a longer list than two, IN would build a table at every insert.
  state TEXT NOT NULL CHECK (
    state = 'queued' OR state = 'sending' OR state = 'waiting' OR state = 'held'
    OR state = 'delivered' OR state = 'failed' OR state = 'superseded' OR state = 'cancelled'),
  -- 1: later pushes of the lane wait behind it. 2: delivered. 0: it lets them pass.
  phase INTEGER NOT NULL GENERATED ALWAYS AS (
    CASE state WHEN 'queued' THEN 1 WHEN 'sending' THEN 1 WHEN 'waiting' THEN 1 WHEN 'held' THEN 1
               WHEN 'delivered' THEN 2 ELSE 0 END) VIRTUAL,
  -- 1: may be claimed when due. Of a lane at most one push is.
  ready INTEGER NOT NULL CHECK (ready = 0 OR (ready = 1 AND state IN ('queued', 'waiting'))),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  -- Set when it belongs to the history: delivered, superseded or cancelled.
  finished_at INTEGER,
  due_at INTEGER NOT NULL,
  wait_ms INTEGER NOT NULL DEFAULT 0,
  begun INTEGER NOT NULL DEFAULT 0 CHECK (begun IN (0, 1)),
  step TEXT,
  -- The target that its requests went to, and so the one that external_id is an id of.
  sent_to TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  step_attempts INTEGER NOT NULL DEFAULT 0,
  age_from INTEGER,
  external_id TEXT,
  external_title TEXT,
  external_url TEXT,
  uncertain INTEGER NOT NULL DEFAULT 0 CHECK (uncertain IN (0, 1)),
  resends INTEGER NOT NULL DEFAULT 0,
  preconditions INTEGER NOT NULL DEFAULT 0,
  superseded_by INTEGER,
  error_code TEXT,
  error_kind TEXT,
  error_message TEXT,
  error_step TEXT,
  error_status INTEGER,
  error_retryable INTEGER,
  -- 1: older pushes of its lane wait behind it, since it is held, or between two steps, or the target may know of it.
  leads INTEGER NOT NULL DEFAULT 0 CHECK (leads IN (0, 1))
) STRICT;

INSERT INTO pushes_anew (
  id, connector_id, lane, given_id, state, ready, created_at, updated_at, finished_at, due_at, wait_ms, begun, step,
  sent_to, attempts, step_attempts, age_from, external_id, external_title, external_url, uncertain, resends,
  preconditions, superseded_by, error_code, error_kind, error_message, error_step, error_status, error_retryable,
  leads
) SELECT
  id, connector_id, lane, given_id, state, ready, created_at, updated_at, finished_at, due_at, wait_ms, begun, step,
  sent_to, attempts, step_attempts, age_from, external_id, external_title, external_url, uncertain, resends,
  preconditions, superseded_by, error_code, error_kind, error_message, error_step, error_status, error_retryable,
  leads
FROM pushes;

DROP TABLE pushes;
ALTER TABLE pushes_anew RENAME TO pushes;

CREATE INDEX pushes_ready ON pushes (connector_id, due_at, id) WHERE ready = 1;
CREATE INDEX pushes_lane ON pushes (lane, connector_id, phase, id) WHERE lane IS NOT NULL;
CREATE INDEX pushes_leads ON pushes (lane, connector_id, id) WHERE leads = 1 AND lane IS NOT NULL;
CREATE INDEX pushes_finished ON pushes (finished_at, id) WHERE finished_at IS NOT NULL;
-- A new push is in one index less: until something happened to it, it is due when it was accepted.
CREATE INDEX pushes_state ON pushes (connector_id, state, id) WHERE state <> 'queued' OR due_at <> created_at;

CREATE TRIGGER pushes_moved AFTER UPDATE OF state ON pushes WHEN old.state <> new.state BEGIN
  UPDATE counters SET n = n - 1 WHERE connector_id = old.connector_id AND state = old.state;
  UPDATE counters SET n = n + 1 WHERE connector_id = new.connector_id AND state = new.state;
END;

CREATE TRIGGER pushes_uncounted AFTER DELETE ON pushes BEGIN
  UPDATE counters SET n = n - 1, gone = gone + 1
    WHERE connector_id = old.connector_id AND state = old.state;
  UPDATE numbering SET highest = old.id WHERE highest < old.id;
END;
