-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Conversations that the client's agent holds with the simulated user, one for each case of a client-driven run test.
CREATE TABLE calls (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  run_id uuid NOT NULL,
  ord integer NOT NULL,
  case_id uuid NOT NULL,
  scenario_id text NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'talking', 'completed', 'failed')),
  turn integer NOT NULL DEFAULT 0,      -- counts what was answered: of two messages at once only one takes effect
  transcript jsonb NOT NULL DEFAULT '[]',
  agent_errors integer NOT NULL DEFAULT 0,
  milliseconds bigint NOT NULL DEFAULT 0, -- that the agent took, as its client says
  ended_reason text NOT NULL DEFAULT '',
  began_at timestamptz,
  touched_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (run_id, ord)
);
CREATE INDEX calls_open ON calls (run_id) WHERE state IN ('waiting', 'taken', 'talking');

-- migrate:down
