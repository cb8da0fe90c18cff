-- What the names of all that comes of a job begin with: originals that have it in common may write to the same keys, so no two
-- such jobs are in hand at once, in whichever process. Empty for jobs from before.
ALTER TABLE jobs ADD COLUMN names TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX jobs_names_in_hand ON jobs (names) WHERE lease IS NOT NULL AND names <> '';
