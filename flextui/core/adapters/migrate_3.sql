-- Format 3: projects, times, shares and gangs; accounts, run times, reservations and usage.
ALTER TABLE jobs ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN begin_at REAL;
ALTER TABLE jobs ADD COLUMN deadline_at REAL;
ALTER TABLE tasks ADD COLUMN served_s REAL NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN share INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN gpu_memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN cpu_set TEXT NOT NULL DEFAULT '[]';
ALTER TABLE attempts ADD COLUMN gang TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN master TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN borrowed INTEGER NOT NULL DEFAULT 0;

CREATE TABLE accounts (
    project TEXT NOT NULL,
    user    TEXT NOT NULL,
    used    REAL NOT NULL,
    at      REAL NOT NULL,
    PRIMARY KEY (project, user)
) WITHOUT ROWID;

CREATE TABLE runtimes (
    kind    TEXT PRIMARY KEY,
    samples TEXT NOT NULL
);

CREATE TABLE reservations (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE meters (
    attempt TEXT PRIMARY KEY,
    since   REAL NOT NULL,
    models  TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE usage (
    hour    INTEGER NOT NULL,
    owner   TEXT NOT NULL,
    project TEXT NOT NULL,
    job     TEXT NOT NULL,
    node    TEXT NOT NULL,
    model   TEXT NOT NULL,
    held_s  REAL NOT NULL,
    idle_s  REAL NOT NULL,
    PRIMARY KEY (hour, owner, project, job, node, model)
) WITHOUT ROWID;
