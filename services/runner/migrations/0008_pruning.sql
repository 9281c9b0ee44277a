-- migrate:up
SET LOCAL lock_timeout = '5s';

-- The cases of a run go a day after its end, in slices: nobody needs them once their results can be read. Set before the first one goes.
ALTER TABLE runs ADD COLUMN cases_pruned boolean NOT NULL DEFAULT false;
ALTER TABLE runs ADD COLUMN counts jsonb;  -- of its cases, kept where a command's answer shows them after these went
CREATE INDEX runs_unpruned ON runs (completed_at, id) WHERE NOT cases_pruned AND completed_at IS NOT NULL;
CREATE INDEX runs_ended ON runs (completed_at) WHERE completed_at IS NOT NULL;

-- Cases below this are gone: a slice that began at the front again would step over everything that was deleted before it.
ALTER TABLE removals ADD COLUMN next_ord integer NOT NULL DEFAULT 0;
COMMENT ON TABLE removals IS 'runs that were deleted, or kept without their cases: these are still to be removed';

-- migrate:down
