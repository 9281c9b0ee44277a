-- migrate:up
SET LOCAL lock_timeout = '5s';

-- What a workspace falls back on. Not columns of `workspaces`: a workspace of a trusted issuer's JWT need not stand there.
CREATE TABLE workspace_settings (
  workspace_id uuid PRIMARY KEY,
  default_connection_id uuid,
  simulator_connection_id uuid,     -- plays the simulated user; null: scripts are read out
  simulator_model text,
  FOREIGN KEY (workspace_id, default_connection_id) REFERENCES connections (workspace_id, id),
  FOREIGN KEY (workspace_id, simulator_connection_id) REFERENCES connections (workspace_id, id)
);

-- An assistant of one family and an agent definition of another are the same row.
CREATE TABLE agents (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  description text,
  agent_type text NOT NULL,
  main_version_id uuid NOT NULL,
  version_count integer NOT NULL,   -- versions ever made; none is removed before its agent
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);

-- Never updated: what was tested under a version's id stays what it was.
CREATE TABLE agent_versions (
  workspace_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  id uuid NOT NULL,
  number integer NOT NULL,          -- dense per agent, from 1
  instructions text NOT NULL,
  connection_id uuid NOT NULL,
  model text,
  tools jsonb NOT NULL,
  language text NOT NULL,
  note text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id),
  UNIQUE (workspace_id, agent_id, number),
  FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE,
  FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id)
);
CREATE INDEX agent_versions_connection ON agent_versions (workspace_id, connection_id);

-- Without a foreign key to its agent: a test outlives the assistant that it was written for.
CREATE TABLE assistant_tests (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  agent_id uuid NOT NULL,
  instructions text NOT NULL,
  rubric jsonb NOT NULL,            -- [{"name", "criteria"}]
  description text,
  channel text NOT NULL,
  max_duration_seconds integer,
  suite text,
  schedule text,                    -- cron expression, UTC
  schedule_revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);
CREATE INDEX assistant_tests_suite ON assistant_tests (workspace_id, suite) WHERE suite IS NOT NULL;
CREATE INDEX assistant_tests_agent ON assistant_tests (workspace_id, agent_id);

-- Only suites that ever had a schedule: else a suite is what its tests say. A row stays, so that its revision goes on growing.
CREATE TABLE suites (
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  schedule text,
  schedule_revision bigint NOT NULL,
  PRIMARY KEY (workspace_id, name)
);

-- migrate:down
