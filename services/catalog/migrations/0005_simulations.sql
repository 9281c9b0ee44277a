-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Without a foreign key to its dataset: a scenario stays readable when the dataset is deleted, and can't be executed any more.
CREATE TABLE scenarios (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  description text,
  kind text NOT NULL CHECK (kind IN ('script', 'persona', 'dataset')),
  script text[] NOT NULL,
  persona jsonb,
  goal text,
  dataset_id uuid,
  max_turns integer NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);

-- Lists of ids are arrays: their order counts, they are read and written as a whole, and an evaluator that was deleted is
-- simply not there any more.
CREATE TABLE run_tests (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  description text NOT NULL,
  agent_id uuid NOT NULL,
  agent_version_id uuid NOT NULL,
  scenario_ids uuid[] NOT NULL,
  evaluator_ids uuid[] NOT NULL,
  dataset_row_ids uuid[] NOT NULL,  -- empty: every row of the scenarios' datasets
  enable_tool_evaluation boolean NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id),
  CONSTRAINT run_tests_name UNIQUE (workspace_id, name),
  FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id)
);
CREATE INDEX run_tests_agent ON run_tests (workspace_id, agent_id);

-- migrate:down
