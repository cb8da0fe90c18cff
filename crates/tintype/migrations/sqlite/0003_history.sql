-- What became of jobs, which are gone once they are done: each try that ended with a word. Kept for a month.
CREATE TABLE job_attempts (
    -- Their order: several may end in one millisecond.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    upload_id  TEXT NOT NULL,
    -- Of a remote processor's result the next four are null.
    job_id     INTEGER,
    attempt    INTEGER,
    queued_at  INTEGER,
    started_at INTEGER,
    ended_at   INTEGER NOT NULL,
    -- 'completed', 'again', or the code of the failure.
    outcome    TEXT NOT NULL,
    error      TEXT
) STRICT;

CREATE INDEX job_attempts_by_upload ON job_attempts (upload_id, id);
CREATE INDEX job_attempts_by_end ON job_attempts (ended_at, outcome);

-- What an operator looks at every few seconds.
CREATE INDEX uploads_by_status ON uploads (status, created_at DESC, id) WHERE deleted_at IS NULL;
CREATE INDEX deliveries_dead ON deliveries (created_at) WHERE status = 'dead';
