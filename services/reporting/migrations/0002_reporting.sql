-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Runs as they are read. Of an open run only the states pending, starting, running and cancelling are taken from the
-- runner; the final ones come from closing it here, when the last expected result is a row.
CREATE TABLE runs (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  test_set_id uuid NOT NULL,
  context_id uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'starting', 'running', 'cancelling', 'completed', 'error', 'cancelled')),
  triggered_by text NOT NULL,
  total_cases integer NOT NULL,             -- cases × repeats
  tags text[] NOT NULL,
  created_at timestamptz NOT NULL,
  started_at timestamptz,
  completed_at timestamptz,                 -- set when the run closes
  reason text NOT NULL DEFAULT '',          -- why it could not be executed
  passed integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  errors integer NOT NULL DEFAULT 0,
  score_sum numeric NOT NULL DEFAULT 0,     -- exact, so that the order in which results come doesn't show
  score_count integer NOT NULL DEFAULT 0,
  last_seq bigint NOT NULL,                 -- of its events: results and run_events in one dense sequence
  final_state text CHECK (final_state IN ('completed', 'error', 'cancelled')),  -- as RunFinished told, with the next two
  finished_at timestamptz,
  expected_results integer,
  closed boolean NOT NULL DEFAULT false,
  -- What a history is sorted by: not yet started ones on top, then the newest first.
  waiting boolean NOT NULL GENERATED ALWAYS AS (started_at IS NULL AND state IN ('pending', 'starting')) STORED,
  sorted_at timestamptz NOT NULL GENERATED ALWAYS AS (coalesce(started_at, created_at)) STORED
);
CREATE INDEX runs_history ON runs (workspace_id, test_set_id, waiting DESC, sorted_at DESC, id DESC);
CREATE INDEX runs_told_final ON runs (id) WHERE final_state IS NOT NULL AND NOT closed;

-- No foreign key to runs: a deleted run's results go in slices.
CREATE TABLE results (
  run_id uuid,
  ord integer,                              -- of the case within the run, dense from 0
  evaluator text,
  seq bigint NOT NULL,
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  test_case_id uuid NOT NULL,
  repeat integer NOT NULL,
  question text NOT NULL,
  expected_response text NOT NULL,
  actual_response text,
  test_method text NOT NULL,
  method text NOT NULL,
  status text NOT NULL CHECK (status IN ('passed', 'failed', 'error')),
  score double precision,
  threshold double precision NOT NULL,
  reasoning text,
  execution_time_ms integer,
  error text,
  scored_by text NOT NULL,
  judge text,                               -- model and endpoint that judged
  warnings jsonb NOT NULL,
  attempts integer NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (run_id, ord, evaluator),
  UNIQUE (run_id, seq)
);
CREATE INDEX results_by_status ON results (run_id, status, ord, evaluator);

-- How many results there are among each 1,000 ords, so that any page is found without counting.
CREATE TABLE result_blocks (
  run_id uuid,
  block integer,                            -- ord / 1000
  workspace_id uuid NOT NULL,
  passed integer NOT NULL,
  failed integer NOT NULL,
  errors integer NOT NULL,
  PRIMARY KEY (run_id, block)
);

-- Events of a run that are no results: the first and the last.
CREATE TABLE run_events (
  run_id uuid,
  seq bigint,
  workspace_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('run.started', 'run.completed', 'run.error', 'run.cancelled')),
  PRIMARY KEY (run_id, seq)
);

-- Runs and test sets that were deleted. Every read looks here, so that a late event can't bring one back.
CREATE TABLE tombstones (
  workspace_id uuid,
  id uuid,
  kind text NOT NULL CHECK (kind IN ('run', 'test_set')),
  created_at timestamptz NOT NULL DEFAULT now(),
  swept_at timestamptz,                     -- when no row was left
  PRIMARY KEY (workspace_id, id)
);
CREATE INDEX tombstones_unswept ON tombstones (created_at) WHERE swept_at IS NULL;

-- migrate:down
