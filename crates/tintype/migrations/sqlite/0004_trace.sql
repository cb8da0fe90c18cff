-- The trace that an upload was asked for in (W3C Trace Context).
ALTER TABLE uploads ADD COLUMN traceparent TEXT;
