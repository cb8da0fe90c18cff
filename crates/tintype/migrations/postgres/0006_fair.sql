-- Whose job it is, as its upload says: they are claimed in turn. Empty for an original that nobody asked for.
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE jobs SET owner = coalesce((SELECT owner FROM uploads WHERE uploads.id = jobs.upload_id), '');
-- "+ 0", so that only this index can serve the order that is asked for within one owner: a planner that took jobs_by_due would
-- read every job of the others.
CREATE INDEX jobs_by_owner ON jobs (owner, (due_at + 0), id) WHERE dead_at IS NULL;
CREATE INDEX jobs_held ON jobs (owner) WHERE lease IS NOT NULL;
-- Proof of the claim under which a delivery is sent: what comes of the attempt is recorded only under it.
ALTER TABLE deliveries ADD COLUMN lease TEXT;
-- Claimed one endpoint after another, each by this index: see above for the "+ 0".
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, (due_at + 0), id) WHERE status = 'pending';
