-- migrate:up
SET LOCAL lock_timeout = '5s';

CREATE TABLE scores (
  run_id uuid,
  case_id uuid,
  repeat integer,
  evaluator text,
  workspace_id uuid NOT NULL,
  status text NOT NULL CHECK (status IN ('passed', 'failed', 'error', 'not_applicable', 'unscored')),
  value double precision,               -- 0 to 1; absent is not 0
  method text NOT NULL,
  threshold double precision NOT NULL,
  reason text NOT NULL,
  error text,
  scored_by text NOT NULL,
  warnings text[] NOT NULL,
  details jsonb,                        -- evidence spans, and the judge's provenance
  scored_at timestamptz NOT NULL,
  PRIMARY KEY (run_id, case_id, repeat, evaluator)
);

-- Verdicts by a hash of everything that they depend on; errors are never kept.
CREATE TABLE judge_cache (
  key text PRIMARY KEY,
  verdict jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- How often scoring began on an event and never came back: an event that brings the process down must not do so for ever.
CREATE TABLE tries (seq bigint PRIMARY KEY, tries integer NOT NULL);

-- Runs that were deleted: their scores go in slices, late ones too.
CREATE TABLE removals (run_id uuid PRIMARY KEY, deleted_at timestamptz NOT NULL DEFAULT now());

-- migrate:down
