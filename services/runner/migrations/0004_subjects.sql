-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A run executes a test set, or what stands for it in another family: an assistant test, a dataset, a run test, a prompt's
-- test case. They differ in how they are opened and read; the run is the same.
ALTER TABLE runs RENAME COLUMN test_set_id TO subject_id;
ALTER TABLE runs RENAME COLUMN context_id TO target_id;
ALTER TABLE runs ALTER COLUMN target_id DROP NOT NULL;      -- the client brings its own
ALTER TABLE runs ALTER COLUMN connection_id DROP NOT NULL;
ALTER TABLE runs DROP CONSTRAINT runs_mode_check;
ALTER TABLE runs ADD CHECK (mode IN ('scenario', 'independent', 'conversation'));
ALTER TABLE runs ADD COLUMN family text NOT NULL DEFAULT 'test_set';
ALTER TABLE runs ADD COLUMN group_key text NOT NULL DEFAULT '';      -- what else runs are listed by: project, suite or prompt
ALTER TABLE runs ADD COLUMN evaluators jsonb NOT NULL DEFAULT '[]';  -- that judge every case; a test set's cases name their own
ALTER TABLE runs ADD COLUMN simulator jsonb;                         -- the model that plays the user, without its secret
ALTER TABLE runs ADD COLUMN details jsonb NOT NULL DEFAULT '{}';     -- what the family shows of a run
ALTER TABLE runs ADD COLUMN client_driven boolean NOT NULL DEFAULT false;
ALTER INDEX runs_of_test_set RENAME TO runs_of_subject;
CREATE INDEX runs_of_group ON runs (workspace_id, family, group_key) WHERE group_key <> '';

ALTER TABLE run_cases ADD COLUMN plan jsonb;    -- simulation, messages and content of a case that has any
ALTER TABLE run_cases ADD COLUMN record jsonb;  -- what is known of its execution beside the output
ALTER TABLE run_cases ADD COLUMN results integer NOT NULL DEFAULT 1;    -- how many evaluators judged it
ALTER TABLE run_cases ADD COLUMN awaited boolean;  -- the client has not recorded it yet; null: the suite executes it
CREATE INDEX run_cases_awaited ON run_cases (run_id, ord) WHERE awaited;
CREATE INDEX run_cases_recorded ON run_cases (run_id, case_id) WHERE awaited IS NOT NULL;

-- migrate:down
