-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE runs (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  test_set_id uuid NOT NULL,
  context_id uuid NOT NULL,
  revision bigint NOT NULL,             -- of the test set: what is frozen
  mode text NOT NULL CHECK (mode IN ('scenario', 'independent')),
  language text NOT NULL,
  target jsonb NOT NULL,                -- frozen, without its secret
  connection_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'starting', 'running', 'cancelling', 'completed', 'error', 'cancelled')),
  reason text NOT NULL DEFAULT '',      -- why it could not be executed
  triggered_by text NOT NULL,
  tags text[] NOT NULL,
  case_count integer NOT NULL,          -- of the test set at that revision
  repeats integer NOT NULL,
  total_cases integer NOT NULL,         -- case_count × repeats
  slots integer NOT NULL,               -- calls in flight for this run, over the whole cluster
  next_ord integer NOT NULL DEFAULT 0,  -- the first case that no ticket covers yet
  next_ticket integer NOT NULL DEFAULT 1,
  freeze_failures integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  completed_at timestamptz,
  touched_at timestamptz NOT NULL       -- when freezing was last begun
);
CREATE INDEX runs_open ON runs (id) WHERE state IN ('pending', 'starting', 'running', 'cancelling');
CREATE INDEX runs_of_test_set ON runs (workspace_id, test_set_id);

-- A frozen copy of each case, times repeats: ord = (repeat - 1) * case_count + position, dense from 0. No foreign key: a
-- deleted run's cases go in slices. Room on each page, so that the three changes of state stay on it.
CREATE TABLE run_cases (
  run_id uuid,
  ord integer,
  case_id uuid NOT NULL,
  repeat integer NOT NULL,
  question text NOT NULL,
  expected text NOT NULL,
  test_method text NOT NULL,
  passing_score double precision NOT NULL,
  keywords text[] NOT NULL,
  file_url text,
  file_mime_type text,
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'executed', 'scored', 'cancelled')),
  fence integer NOT NULL DEFAULT 0,     -- counts claims: only the latest claim may write its effect
  lease_until timestamptz,
  expiries integer NOT NULL DEFAULT 0,  -- leases that ran out
  alone integer NOT NULL DEFAULT 0,     -- of these, with the case alone in its ticket: only then it may be to blame
  attempts integer NOT NULL DEFAULT 0,  -- times the target was asked
  output text,
  error text,
  execution_time_ms integer,
  warnings text[] NOT NULL DEFAULT '{}',
  outcome text CHECK (outcome IN ('passed', 'failed', 'error')),
  PRIMARY KEY (run_id, ord)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1);

CREATE TABLE tickets (
  run_id uuid,
  number integer,
  first_ord integer NOT NULL,
  last_ord integer NOT NULL,
  epoch integer NOT NULL DEFAULT 1,     -- times it was issued
  issued_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, number)
);

-- Live runner processes: a connection's limits are shared among them.
CREATE TABLE instances (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  joined_at timestamptz NOT NULL DEFAULT now(),
  lease_until timestamptz NOT NULL,
  settled_at timestamptz                -- its calls fit the shares as they were then
);

-- Runs that were deleted, and whose cases are still to be removed.
CREATE TABLE removals (run_id uuid PRIMARY KEY);

-- migrate:down
