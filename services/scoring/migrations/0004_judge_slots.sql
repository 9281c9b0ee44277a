-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Scoring processes that live: the limits of a judge hold over all of them together.
CREATE TABLE judging_processes (id uuid PRIMARY KEY, lease_until timestamptz NOT NULL);

-- Calls to judges that are in flight, each in a slot of its endpoint, numbered from 1. Of a holder that lives no more they are free.
CREATE TABLE judge_slots (
  endpoint text,                        -- a hash of its address and its key
  slot integer,
  holder uuid NOT NULL,
  PRIMARY KEY (endpoint, slot)
);

-- When the next call to an endpoint with a limit per minute may begin.
CREATE TABLE judge_paces (endpoint text PRIMARY KEY, next_call_at timestamptz NOT NULL);

-- migrate:down
