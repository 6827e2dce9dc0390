-- Which push of a lane goes first where an older one is retried.

-- 1: older pushes of its lane wait behind it, since it is held, or between two steps, or the target may know of it.
ALTER TABLE pushes ADD COLUMN leads INTEGER NOT NULL DEFAULT 0 CHECK (leads IN (0, 1));

UPDATE pushes SET leads = 1 WHERE state = 'held' OR (state IN ('queued', 'waiting') AND (
  step IN ('find', 'get', 'comment')
  OR EXISTS (SELECT 1 FROM intents WHERE push_id = pushes.id AND ended_at IS NOT NULL)));

CREATE INDEX pushes_leads ON pushes (lane, connector_id, id) WHERE leads = 1 AND lane IS NOT NULL;
