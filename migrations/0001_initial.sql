-- The first schema. A released migration never changes: a later one amends it.
-- Times are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE connectors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  revision INTEGER NOT NULL,
  -- A removed connector keeps its row, so that its history and links keep their owner.
  removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),
  config TEXT NOT NULL,
  warnings TEXT NOT NULL,
  target TEXT NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
  offline_reason TEXT,
  offline_probes INTEGER,
  offline_probe_at INTEGER,
  blocked_reason TEXT,
  blocked_probes INTEGER,
  blocked_probe_at INTEGER,
  throttled_until INTEGER,
  odometer_ms INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- A known text sealed with the key, so that a wrong key is told from a damaged secret.
CREATE TABLE vault (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL
) STRICT;

CREATE TABLE secrets (
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  field TEXT NOT NULL,
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  PRIMARY KEY (connector_id, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE pushes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
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
  error_retryable INTEGER
) STRICT;

CREATE INDEX pushes_ready ON pushes (connector_id, due_at, id) WHERE ready = 1;
CREATE INDEX pushes_lane ON pushes (lane, connector_id, phase, id) WHERE lane IS NOT NULL;
CREATE INDEX pushes_state ON pushes (connector_id, state, id);
CREATE INDEX pushes_finished ON pushes (finished_at, id) WHERE finished_at IS NOT NULL;

-- Apart from `pushes`, so that a step does not write a large case anew.
CREATE TABLE incidents (
  push_id INTEGER PRIMARY KEY REFERENCES pushes(id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  description TEXT,
  case_id TEXT,
  severity TEXT,
  status TEXT,
  tags TEXT,
  external_id TEXT,
  fields TEXT
) STRICT;

CREATE TABLE comments (
  push_id INTEGER NOT NULL REFERENCES pushes(id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  state TEXT NOT NULL,
  occurrence INTEGER NOT NULL,
  comment_id TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (push_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The create or comment under way, or whose outcome is not known, as it was written.
CREATE TABLE intents (
  push_id INTEGER PRIMARY KEY REFERENCES pushes(id) ON DELETE CASCADE,
  step TEXT NOT NULL,
  comment INTEGER,
  target TEXT NOT NULL,
  idempotency_key TEXT,
  key_made_at INTEGER NOT NULL,
  ended_at INTEGER,
  body BLOB NOT NULL
) STRICT;

CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  push_id INTEGER NOT NULL REFERENCES pushes(id) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  step TEXT NOT NULL,
  method TEXT,
  url TEXT,
  http_status INTEGER,
  class TEXT,
  message TEXT NOT NULL
) STRICT;

CREATE INDEX attempts_push ON attempts (push_id, id);

CREATE TABLE links (
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  target TEXT NOT NULL,
  case_id TEXT NOT NULL,
  external_id TEXT NOT NULL,
  title TEXT,
  url TEXT,
  -- The highest push that was delivered under it; 0 when none was.
  last_push INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (connector_id, target, case_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE comment_marks (
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  target TEXT NOT NULL,
  case_id TEXT NOT NULL,
  comment_id TEXT NOT NULL,
  occurrence INTEGER NOT NULL,
  PRIMARY KEY (connector_id, target, case_id, comment_id, occurrence)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  connector_id INTEGER NOT NULL REFERENCES connectors(id),
  state TEXT NOT NULL,
  n INTEGER NOT NULL CHECK (n >= 0),
  PRIMARY KEY (connector_id, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER connectors_counters AFTER INSERT ON connectors BEGIN
  INSERT INTO counters (connector_id, state, n) VALUES
    (new.id, 'queued', 0), (new.id, 'sending', 0), (new.id, 'waiting', 0), (new.id, 'held', 0),
    (new.id, 'delivered', 0), (new.id, 'failed', 0), (new.id, 'superseded', 0), (new.id, 'cancelled', 0);
END;

CREATE TRIGGER pushes_counted AFTER INSERT ON pushes BEGIN
  UPDATE counters SET n = n + 1 WHERE connector_id = new.connector_id AND state = new.state;
END;

CREATE TRIGGER pushes_moved AFTER UPDATE OF state ON pushes WHEN old.state <> new.state BEGIN
  UPDATE counters SET n = n - 1 WHERE connector_id = old.connector_id AND state = old.state;
  UPDATE counters SET n = n + 1 WHERE connector_id = new.connector_id AND state = new.state;
END;

CREATE TRIGGER pushes_uncounted AFTER DELETE ON pushes BEGIN
  UPDATE counters SET n = n - 1 WHERE connector_id = old.connector_id AND state = old.state;
END;
