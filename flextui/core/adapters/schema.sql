-- The durable state of one core, version 4. State tables are the truth; events are history.
-- Times are Unix seconds (REAL), except events.at, which is ISO 8601 as it is shown.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL,
    owner        TEXT NOT NULL,
    owner_uid    INTEGER NOT NULL,
    type         TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    spec         TEXT NOT NULL,
    submitted_at REAL NOT NULL,
    priority     INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    ended_at     REAL,
    stop         TEXT,
    project      TEXT NOT NULL DEFAULT '',
    groups       TEXT NOT NULL DEFAULT '[]',
    begin_at     REAL,
    deadline_at  REAL,
    hold         TEXT
);
CREATE INDEX jobs_live ON jobs (seq) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name, seq);

-- Every spec that a job has had, once it has had more than one.
CREATE TABLE revisions (
    job      INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    at       REAL,
    by       TEXT NOT NULL,
    spec     TEXT NOT NULL,
    PRIMARY KEY (job, revision)
) WITHOUT ROWID;

CREATE TABLE tasks (
    job         INTEGER NOT NULL,
    idx         INTEGER NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    reason_code TEXT NOT NULL,
    node        TEXT,
    attempts    INTEGER NOT NULL,
    active      TEXT,
    failures    TEXT NOT NULL,
    not_before  REAL,
    ready_at    REAL NOT NULL,
    retired     INTEGER NOT NULL,
    restart     TEXT,
    ended_at    REAL,
    exit_code   INTEGER,
    served_s    REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (job, idx)
) WITHOUT ROWID;

CREATE TABLE attempts (
    job          INTEGER NOT NULL,
    idx          INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    id           TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    node         TEXT NOT NULL,
    host_id      TEXT NOT NULL,
    boot         TEXT NOT NULL,
    root_id      TEXT NOT NULL,
    gpus         TEXT NOT NULL,
    cpus         REAL NOT NULL,
    memory_bytes INTEGER NOT NULL,
    state        TEXT NOT NULL,
    live         INTEGER NOT NULL,
    placed_at    REAL NOT NULL,
    started_at   REAL,
    ended_at     REAL,
    exit_code    INTEGER,
    signal       INTEGER,
    reason       TEXT NOT NULL,
    why          TEXT NOT NULL,
    stop         TEXT,
    replaced     INTEGER NOT NULL,
    acked        INTEGER NOT NULL,
    lease_s      REAL,
    mem_limit    TEXT NOT NULL,
    last_lines   TEXT NOT NULL,
    nonce        TEXT NOT NULL DEFAULT '',
    share        INTEGER NOT NULL DEFAULT 0,
    gpu_memory_bytes INTEGER NOT NULL DEFAULT 0,
    cpu_set      TEXT NOT NULL DEFAULT '[]',
    gang         TEXT NOT NULL DEFAULT '',
    master       TEXT NOT NULL DEFAULT '',
    borrowed     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, idx, number)
) WITHOUT ROWID;
CREATE INDEX attempts_live ON attempts (job) WHERE live;

CREATE TABLE nodes (
    name          TEXT PRIMARY KEY,
    host_id       TEXT NOT NULL,
    root_path     TEXT NOT NULL,
    root_id       TEXT NOT NULL,
    drain         TEXT,
    cordon        TEXT,
    cordoned_gpus TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    job     TEXT,
    task    INTEGER,
    attempt TEXT,
    node    TEXT,
    text    TEXT NOT NULL
);
CREATE INDEX events_job ON events (job, seq) WHERE job IS NOT NULL;

-- GPU-seconds used, decayed up to `at`. What is held now follows from the live attempts.
CREATE TABLE accounts (
    project TEXT NOT NULL,
    user    TEXT NOT NULL,
    used    REAL NOT NULL,
    at      REAL NOT NULL,
    PRIMARY KEY (project, user)
) WITHOUT ROWID;

-- Run times of what was seen last have the highest rowid.
CREATE TABLE runtimes (
    kind    TEXT PRIMARY KEY,
    samples TEXT NOT NULL
);

CREATE TABLE reservations (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

-- Up to when the use of a live attempt is in `usage`.
CREATE TABLE meters (
    attempt TEXT PRIMARY KEY,
    since   REAL NOT NULL,
    models  TEXT NOT NULL
) WITHOUT ROWID;

-- GPU-seconds held, and of those idle, by hour (Unix time // 3600).
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
