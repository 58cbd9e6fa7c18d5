-- The durable state of one core, version 2. State tables are the truth; events are history.
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
    stop         TEXT
);
CREATE INDEX jobs_live ON jobs (seq) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name, seq);

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
