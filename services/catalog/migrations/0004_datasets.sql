-- migrate:up
SET LOCAL lock_timeout = '5s';

-- A dataset is a test set of another kind: it belongs to a project rather than a context, and its cases are rows of
-- test_cases whose `content` holds what its API gives back.
ALTER TABLE test_sets
  ADD COLUMN kind text NOT NULL DEFAULT 'test_set',
  ADD COLUMN project_id uuid,
  ADD COLUMN settings jsonb,        -- of a dataset: input_names, media_input_names, support_history
  ALTER COLUMN context_id DROP NOT NULL,
  ADD FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id),
  ADD CHECK (kind IN ('test_set', 'prompt_dataset', 'agent_dataset')),
  ADD CHECK ((kind = 'test_set') = (context_id IS NOT NULL)),
  ADD CHECK ((kind = 'test_set') = (project_id IS NULL));
CREATE UNIQUE INDEX datasets_name ON test_sets (workspace_id, project_id, name) WHERE project_id IS NOT NULL;

ALTER TABLE test_cases ADD COLUMN content jsonb;

-- What judges an output: a template of scoring's registry and what is filled into it. A project's are its evaluation
-- criteria; those without a project are the evaluation configurations of run tests.
CREATE TABLE evaluators (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  project_id uuid,
  name text NOT NULL,
  template text NOT NULL,           -- its name
  mapping jsonb NOT NULL,
  config jsonb NOT NULL,
  passing_score double precision,   -- null: the template's own
  is_enabled boolean NOT NULL,
  error_localizer boolean NOT NULL,
  model text,
  description text,
  tags text[] NOT NULL,
  type text,
  eval_group text,
  reason_column text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id),
  FOREIGN KEY (workspace_id, project_id) REFERENCES projects (workspace_id, id)
);
CREATE UNIQUE INDEX evaluators_name ON evaluators (workspace_id, project_id, name) WHERE project_id IS NOT NULL;

-- migrate:down
