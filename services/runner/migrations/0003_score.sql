-- migrate:up
SET LOCAL lock_timeout = '5s';

ALTER TABLE run_cases ADD COLUMN score double precision;  -- so that a cancel's answer has the mean, as every other read does

-- migrate:down
