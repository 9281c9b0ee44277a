-- migrate:up
SET LOCAL lock_timeout = '5s';

-- Old verdicts are looked for every minute.
CREATE INDEX judge_cache_created_at ON judge_cache (created_at);

-- migrate:down
