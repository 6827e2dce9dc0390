-- Which push of a lane goes first where an older one is retried.

-- Older pushes of its lane wait behind it, since it is held, or between two steps, or the target may know of it.
ALTER TABLE pushes ADD COLUMN leads boolean NOT NULL DEFAULT false;

UPDATE pushes SET leads = true WHERE state = 'held' OR (state IN ('queued', 'waiting') AND (
  step IN ('find', 'get', 'comment')
  OR EXISTS (SELECT 1 FROM intents WHERE push_id = pushes.id AND ended_at IS NOT NULL)));

CREATE INDEX pushes_leads ON pushes (md5(lane), connector_id, id) WHERE leads AND lane IS NOT NULL;
