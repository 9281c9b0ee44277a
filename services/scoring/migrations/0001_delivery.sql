-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Events of this service, written in the transaction that they tell of; see shared/outbox.py.
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text NOT NULL,
  seq bigint,                       -- dense per topic, given by the relay
  key text UNIQUE,                  -- of several rows with one key only the first is kept
  payload bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  parked text,                      -- why it can never be published
  UNIQUE (topic, seq)
);
CREATE INDEX outbox_unnumbered ON outbox (id) WHERE seq IS NULL;
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL AND seq IS NOT NULL AND parked IS NULL;

CREATE TABLE outbox_heads (topic text PRIMARY KEY, head bigint NOT NULL);
CREATE TABLE outbox_readers (
  topic text,
  consumer text,
  watermark bigint NOT NULL,
  PRIMARY KEY (topic, consumer)
);
-- Part of every message id: a database that was restored numbers anew, and must not be taken for the old one.
CREATE TABLE outbox_incarnation (incarnation text NOT NULL);
INSERT INTO outbox_incarnation VALUES (gen_random_uuid()::text);

-- Numbers of the events that took effect here; see shared/inbox.py.
CREATE TABLE inbox (
  topic text,
  seq bigint,
  taken_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic, seq)
);
CREATE TABLE inbox_watermarks (topic text PRIMARY KEY, watermark bigint NOT NULL);

-- migrate:down
