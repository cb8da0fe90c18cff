-- Times are milliseconds since 1970. JSON columns hold the external contract's shapes.

CREATE TABLE uploads (
    id         TEXT PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE,
    status     TEXT NOT NULL,
    policy     TEXT NOT NULL,
    extension  TEXT,
    preset     TEXT NOT NULL,
    processed_key TEXT,
    manifest   TEXT,
    error      TEXT,
    -- How many different outcomes there have been: the last part of a webhook-id.
    outcomes   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_by_age ON uploads (created_at DESC, id);
CREATE INDEX uploads_to_expire ON uploads (expires_at) WHERE status = 'pending';

-- What a client's Idempotency-Key was answered with.
CREATE TABLE idempotency (
    key        TEXT PRIMARY KEY,
    request    TEXT NOT NULL,
    upload_ids TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Keys of deleted uploads whose credential is still good: what comes under them is removed.
CREATE TABLE revoked (
    key   TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    upload_id  TEXT NOT NULL,
    event      TEXT NOT NULL,
    force      INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL,
    lease      TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX jobs_by_due ON jobs (due_at, id);
CREATE INDEX jobs_by_upload ON jobs (upload_id);

CREATE TABLE deliveries (
    id          TEXT PRIMARY KEY,
    upload_id   TEXT NOT NULL,
    url         TEXT NOT NULL,
    method      TEXT NOT NULL,
    body        TEXT NOT NULL,
    status      TEXT NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL,
    leased      INTEGER NOT NULL DEFAULT 0,
    last_status INTEGER,
    last_error  TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX deliveries_by_due ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_by_age ON deliveries (created_at DESC, id);
CREATE INDEX deliveries_by_upload ON deliveries (upload_id);

CREATE TABLE delivery_attempts (
    delivery_id TEXT NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER,
    error       TEXT,
    millis      INTEGER NOT NULL
) STRICT;

CREATE INDEX attempts_by_delivery ON delivery_attempts (delivery_id, at);
