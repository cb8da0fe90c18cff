-- Originals under whose names a lost process may still write, and when to look there again.
CREATE TABLE rechecks (
    key    TEXT PRIMARY KEY,
    since  BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX rechecks_by_due ON rechecks (due_at);
