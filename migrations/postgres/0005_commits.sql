-- What says whether a transaction was committed whose answer was lost. A transaction's number at the server does not say it:
-- after a crash the server gives numbers out again that had not got to its disk.

-- A row a connection: the last of its transactions, written by that transaction. `prune` removes it after a while.
CREATE TABLE commits (
  connection text COLLATE "C" PRIMARY KEY,
  number bigint NOT NULL,
  begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
