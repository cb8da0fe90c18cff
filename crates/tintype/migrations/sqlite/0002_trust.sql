-- Deletions in two halves: objects go between them, and a crash there is healed.
ALTER TABLE uploads ADD COLUMN deleted_at INTEGER;
CREATE INDEX uploads_to_delete ON uploads (deleted_at) WHERE deleted_at IS NOT NULL;

-- Tries that ended with a reason, and jobs that were given up.
ALTER TABLE jobs ADD COLUMN excused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN last_error TEXT;
ALTER TABLE jobs ADD COLUMN dead_at INTEGER;
DROP INDEX jobs_by_due;
CREATE INDEX jobs_by_due ON jobs (due_at, id) WHERE dead_at IS NULL;
-- What makes it impossible that two work on one upload at once.
UPDATE jobs SET lease = NULL;
CREATE UNIQUE INDEX jobs_in_hand ON jobs (upload_id) WHERE lease IS NOT NULL;

-- Which outcome of its upload a delivery tells, and whose server it goes to.
ALTER TABLE deliveries ADD COLUMN outcome INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';
UPDATE deliveries SET outcome = CAST(substr(id, length(upload_id) + 6) AS INTEGER);
CREATE INDEX deliveries_to_tell ON deliveries (upload_id, outcome) WHERE status = 'pending';
ALTER TABLE delivery_attempts ADD COLUMN response TEXT;

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

-- What all processes on this ledger share.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
