-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Numbers of the events that took effect here; see shared/inbox.py.
CREATE TABLE inbox (
  topic text,
  seq bigint,
  taken_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, seq)
);
CREATE TABLE inbox_watermarks (topic text PRIMARY KEY, watermark bigint NOT NULL);

-- migrate:down
