-- Format 2: attempts have a nonce.
ALTER TABLE attempts ADD COLUMN nonce TEXT NOT NULL DEFAULT '';
