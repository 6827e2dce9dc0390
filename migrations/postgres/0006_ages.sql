-- What is removed by its age is as old as the server's clock says, since a host whose clock is wrong would remove what all hosts
-- keep: from here on `pushes.finished_at` is by the server's clock, and so is a second time of each line of the log. Lines that
-- are there already, or come with an outbox that moves here, age from then on.

ALTER TABLE attempts ADD COLUMN logged_server_ms bigint NOT NULL
  DEFAULT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint);
