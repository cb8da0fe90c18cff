-- Which bytes an upload is: entity tag and version of the first that were accepted, as JSON.
ALTER TABLE uploads ADD COLUMN pin TEXT;
-- Who asked for it: an API key's id, or the address of a caller without one.
ALTER TABLE uploads ADD COLUMN owner TEXT;
-- What the client calls the file.
ALTER TABLE uploads ADD COLUMN filename TEXT;
-- When the backend said that it keeps the upload.
ALTER TABLE uploads ADD COLUMN claimed_at BIGINT;
