-- Format 4: the specs that jobs had before; holds.
ALTER TABLE jobs ADD COLUMN hold TEXT;

CREATE TABLE revisions (
    job      INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at       REAL,
    by       TEXT NOT NULL,
    spec     TEXT NOT NULL,
    PRIMARY KEY (job, revision)
) WITHOUT ROWID;
