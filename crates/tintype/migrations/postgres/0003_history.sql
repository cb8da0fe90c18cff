-- What became of jobs, which are gone once they are done: each try that ended with a word. Kept for a month.
CREATE TABLE job_attempts (
    upload_id  TEXT NOT NULL,
    -- Of a remote processor's result the next four are null.
    job_id     BIGINT,
    attempt    BIGINT,
    queued_at  BIGINT,
    started_at BIGINT,
    ended_at   BIGINT NOT NULL,
    -- 'completed', 'again', or the code of the failure.
    outcome    TEXT NOT NULL,
    error      TEXT
);

CREATE INDEX job_attempts_by_upload ON job_attempts (upload_id, ended_at);
CREATE INDEX job_attempts_by_end ON job_attempts (ended_at, outcome);

-- What an operator looks at every few seconds.
CREATE INDEX uploads_by_status ON uploads (status, created_at DESC, id) WHERE deleted_at IS NULL;
CREATE INDEX deliveries_dead ON deliveries (created_at) WHERE status = 'dead';
