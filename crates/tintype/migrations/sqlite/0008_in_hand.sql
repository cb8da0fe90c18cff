-- What the names of all that comes of a job begin with: originals that have it in common may write to the same keys, so no two
-- such jobs are in hand at once, in whichever process. Empty for jobs from before.
ALTER TABLE jobs ADD COLUMN names TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX jobs_names_in_hand ON jobs (names) WHERE lease IS NOT NULL AND names <> '';

-- Whether it was found to be one of the slow ones, of which a process has but so many in hand at once. Who has no place for them
-- claims by these indexes, which hold the others alone; they are on expressions that nothing else asks for, so that no planner
-- takes another index and reads all the slow ones.
ALTER TABLE jobs ADD COLUMN slow INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_quick_by_owner ON jobs ((owner || ''), (due_at + 0), id) WHERE dead_at IS NULL AND slow = 0;
CREATE INDEX jobs_quick_by_due ON jobs ((due_at - 0), id) WHERE dead_at IS NULL AND slow = 0;
