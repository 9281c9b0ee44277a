-- migrate:up
SET LOCAL lock_timeout = '5s';

-- When runs start by themselves. A schedule that was cleared stays, so that an older event can't bring it back.
CREATE TABLE schedules (
  workspace_id uuid,
  family text CHECK (family IN ('assistant_test', 'suite')),
  subject_id text,                      -- of a suite its name
  cron text NOT NULL,                   -- in UTC; empty: cleared
  revision bigint NOT NULL,             -- of the catalog's
  next_at timestamptz,                  -- when it is to fire; whoever moves it on fires
  PRIMARY KEY (workspace_id, family, subject_id)
);
CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

-- migrate:down
