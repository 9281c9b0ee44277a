-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A run executes a test set, or what stands for it in another family; see the runner's migration of this name.
ALTER TABLE runs RENAME COLUMN test_set_id TO subject_id;
ALTER TABLE runs RENAME COLUMN context_id TO target_id;
ALTER TABLE runs ALTER COLUMN target_id DROP NOT NULL;
ALTER TABLE runs ADD COLUMN family text NOT NULL DEFAULT 'test_set';
ALTER TABLE runs ADD COLUMN group_key text NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN evaluators text[] NOT NULL DEFAULT '{}';  -- names; a test set's cases name their own
ALTER TABLE runs ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN client_driven boolean NOT NULL DEFAULT false;
ALTER TABLE runs ADD COLUMN scored_cases integer NOT NULL DEFAULT 0;      -- with results; of test sets not counted, nor the next
ALTER TABLE runs ADD COLUMN answered_cases integer NOT NULL DEFAULT 0;    -- those of them that have an output
CREATE INDEX runs_of_subject ON runs (workspace_id, subject_id, id DESC) WHERE family <> 'test_set';
CREATE INDEX runs_of_group ON runs (workspace_id, family, group_key, id DESC) WHERE family <> 'test_set';

-- What is known of the execution of a case beside its output. Cases of test sets have no row.
CREATE TABLE case_records (
  run_id uuid,
  ord integer,
  workspace_id uuid NOT NULL,
  answered boolean NOT NULL,                -- whether there is an output
  record jsonb NOT NULL,
  PRIMARY KEY (run_id, ord)
);

-- What each evaluator found in a run, so far, so that no summary has to count results. Test sets have no row.
CREATE TABLE evaluations (
  run_id uuid,
  evaluator text,
  workspace_id uuid NOT NULL,
  passed integer NOT NULL,
  failed integer NOT NULL,
  errors integer NOT NULL,
  score_sum numeric NOT NULL,
  score_count integer NOT NULL,
  PRIMARY KEY (run_id, evaluator)
);

ALTER TABLE results ADD COLUMN details jsonb;  -- provenance of a judge's verdict, and the spans that it rests on

ALTER TABLE tombstones DROP CONSTRAINT tombstones_kind_check;
UPDATE tombstones SET kind = 'subject' WHERE kind = 'test_set';
ALTER TABLE tombstones ADD CHECK (kind IN ('run', 'subject'));

-- migrate:down
