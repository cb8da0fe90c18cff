-- The trace that an upload was asked for in (W3C Trace Context).
ALTER TABLE uploads ADD COLUMN traceparent TEXT;

-- The dead are counted for every look at the metrics; those that were delivered are many.
CREATE INDEX deliveries_dead ON deliveries (created_at) WHERE status = 'dead';
