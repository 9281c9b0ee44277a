-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Every table has the workspace in its key or beside it, and every statement names it. A workspace of a trusted issuer's
-- JWT need not stand in `workspaces`, so nothing but what the commands make points there.
CREATE TABLE workspaces (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  judge_connection_id uuid,
  judge_model text,
  require_judge boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL
);

CREATE TABLE projects (
  workspace_id uuid NOT NULL REFERENCES workspaces (id),
  id uuid NOT NULL,
  name text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);

CREATE TABLE credentials (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces (id),
  kind text NOT NULL CHECK (kind IN ('token', 'pair')),
  hash bytea NOT NULL UNIQUE,       -- SHA-256 of what is sent; the secret itself is shown once and kept nowhere
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL,
  revoked_at timestamptz
);

CREATE TABLE connections (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  kind text NOT NULL,
  base_url text,
  model text,
  max_concurrency integer NOT NULL,
  requests_per_minute integer,
  timeout_ms integer NOT NULL,
  secret bytea,                     -- AES-GCM box, see services/catalog/secrets_box.py
  secret_key_id text,
  revision bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id)
);
ALTER TABLE workspaces ADD FOREIGN KEY (id, judge_connection_id) REFERENCES connections (workspace_id, id);

CREATE TABLE contexts (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  statement text NOT NULL,
  connection_id uuid NOT NULL,
  model text,
  parameters jsonb,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id),
  FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id)
);
CREATE INDEX contexts_connection ON contexts (workspace_id, connection_id);

CREATE TABLE test_sets (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  context_id uuid NOT NULL,
  name text NOT NULL,
  description text,
  mode text NOT NULL,
  language text NOT NULL,
  revision bigint NOT NULL,         -- grows with every change of its cases
  test_case_count integer NOT NULL,
  last_run_at timestamptz,
  last_run_pass_rate double precision,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, id),
  FOREIGN KEY (workspace_id, context_id) REFERENCES contexts (workspace_id, id)
);
CREATE INDEX test_sets_context ON test_sets (workspace_id, context_id);

-- A case is rows with a range of its set's revisions: an edit or a delete closes one row and opens the next, so the cases of
-- any revision can be read exactly. Without a foreign key to the set: every writer locks the set's row first, and a check
-- for each of 10,000 rows would be half of an import.
CREATE TABLE test_cases (
  workspace_id uuid NOT NULL,
  test_set_id uuid NOT NULL,
  id uuid NOT NULL,
  from_rev bigint NOT NULL,
  until_rev bigint,                 -- the revision that no longer holds this row; null while it is current
  closed_at timestamptz,
  question text NOT NULL,
  expected_response text NOT NULL,
  test_method text NOT NULL,
  passing_score double precision NOT NULL,
  keywords text[] NOT NULL,
  position integer NOT NULL,
  file_url text,
  file_mime_type text,
  file_id uuid,                     -- the file of ours that file_url names
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (test_set_id, id, from_rev)
);
CREATE INDEX test_cases_in_order ON test_cases (test_set_id, position, id);
CREATE INDEX test_cases_closed ON test_cases (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX test_cases_file ON test_cases (file_id) WHERE file_id IS NOT NULL;

-- Content once, however many workspaces uploaded it; `files` is what a workspace knows of it.
CREATE TABLE blobs (
  sha256 bytea PRIMARY KEY,
  content bytea NOT NULL
);
ALTER TABLE blobs ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE files (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  sha256 bytea NOT NULL REFERENCES blobs (sha256),
  mime_type text NOT NULL,
  size_bytes integer NOT NULL,
  uploaded_at timestamptz NOT NULL, -- the last time
  PRIMARY KEY (workspace_id, id),
  UNIQUE (workspace_id, sha256, mime_type)
);
CREATE INDEX files_uploaded ON files (uploaded_at);
CREATE INDEX files_blob ON files (sha256);

-- migrate:down
