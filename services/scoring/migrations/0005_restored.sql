-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Numbers that no event of this outbox has: the database was restored from a backup, and what had been numbered after that
-- backup may have taken effect elsewhere. Consumers step over them; see shared/restored.py.
CREATE TABLE outbox_holes (
  topic text,
  after bigint,                     -- the last number before
  upto bigint NOT NULL,             -- the last number of the hole
  PRIMARY KEY (topic, after)
);

-- migrate:down
