-- Originals under whose names a lost process may still write, and when to look there again.
CREATE TABLE rechecks (
    key    TEXT PRIMARY KEY,
    since  INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX rechecks_by_due ON rechecks (due_at);
