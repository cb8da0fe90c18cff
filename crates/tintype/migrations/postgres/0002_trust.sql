-- Deletions in two halves: objects go between them, and a crash there is healed.
ALTER TABLE uploads ADD COLUMN deleted_at BIGINT;
CREATE INDEX uploads_to_delete ON uploads (deleted_at) WHERE deleted_at IS NOT NULL;

-- Tries that ended with a reason, and jobs that were given up.
ALTER TABLE jobs ADD COLUMN excused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN last_error TEXT;
ALTER TABLE jobs ADD COLUMN dead_at BIGINT;
DROP INDEX jobs_by_due;
CREATE INDEX jobs_by_due ON jobs (due_at, id) WHERE dead_at IS NULL;
-- What makes it impossible that two work on one upload at once.
UPDATE jobs SET lease = NULL;
CREATE UNIQUE INDEX jobs_in_hand ON jobs (upload_id) WHERE lease IS NOT NULL;

-- Which outcome of its upload a delivery tells, and whose server it goes to.
ALTER TABLE deliveries ADD COLUMN outcome BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN endpoint TEXT NOT NULL DEFAULT '';
UPDATE deliveries SET outcome = CAST(substr(id, length(upload_id) + 6) AS BIGINT);
CREATE INDEX deliveries_to_tell ON deliveries (upload_id, outcome) WHERE status = 'pending';
ALTER TABLE delivery_attempts ADD COLUMN response TEXT;

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

-- What all processes on this ledger share.
CREATE TABLE secrets (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Whoever waits in another process hears of new jobs, due callbacks and changed uploads as they commit. A message lost
-- with its connection is made good by looking every second.
CREATE FUNCTION tintype_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tintype', TG_ARGV[0] || CASE TG_ARGV[0] WHEN 'upload' THEN ' ' || NEW.id ELSE '' END);
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_tell AFTER INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION tintype_tell('job');
CREATE TRIGGER deliveries_tell AFTER INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION tintype_tell('delivery');
CREATE TRIGGER uploads_tell AFTER UPDATE OF status ON uploads FOR EACH ROW EXECUTE FUNCTION tintype_tell('upload');
