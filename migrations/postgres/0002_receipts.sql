-- What says that a call to push was stored, written by the transaction that stored it: a host that did not hear the answer
-- asks here before it stores the same pushes once more. Only hosts with a spool write it, and each takes its own rows away
-- again once it knows; what stays is a row for each time that one died in between.

CREATE TABLE receipts (
  key text COLLATE "C" PRIMARY KEY,
  -- The numbers that the call's pushes were given, in their order.
  pushes bigint[] NOT NULL,
  written_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
