-- A database of format 2 as that version left it (sqlite3's .dump).
PRAGMA application_id = 1718384756;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES(1,0,1,'j1.0.1',1,'n1','h1','b1','r1','["GPU-1"]',1.0,1073741824,'running',1,5.0,6.0,NULL,NULL,NULL,'','','["ann", 9.0, "enough"]',0,0,30.0,'','','n0');
INSERT INTO "attempts" VALUES(2,0,1,'j2.0.1',1,'n1','h1','b1','r1','["GPU-1"]',1.0,1073741824,'succeeded',0,5.0,NULL,50.0,0,NULL,'','',NULL,0,0,NULL,'','','');
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
INSERT INTO "events" VALUES(1,'2001-09-09T01:46:40.000Z','job.submitted','ann','j1',NULL,NULL,NULL,'event 1');
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
INSERT INTO "jobs" VALUES(1,'train','ann',1000,'batch',1,'{"count":1,"env":{},"grace":30.0,"name":"train","on_node_loss":{"after":null,"fence":false,"then":"wait"},"priority":50,"resources":{"cpus":1.0,"gpu_memory":null,"gpu_model":[],"gpus":1,"memory":null},"restart":{"attempts":3,"backoff":2.0,"delay":5.0,"max_delay":300.0,"not_on_exit":[],"on":"never","within":600.0},"run":"python train.py","time_limit":null,"type":"batch","where":{"node":[],"not":{"node":[]},"placement":null,"prefer":{}},"workdir":null}',101.0,50,1,'running','',NULL,NULL);
INSERT INTO "jobs" VALUES(2,'work','ann',1000,'batch',1,'{"count":1,"env":{},"grace":30.0,"name":"work","on_node_loss":{"after":null,"fence":false,"then":"wait"},"priority":50,"resources":{"cpus":1.0,"gpu_memory":null,"gpu_model":[],"gpus":0,"memory":null},"restart":{"attempts":3,"backoff":2.0,"delay":5.0,"max_delay":300.0,"not_on_exit":[],"on":"never","within":600.0},"run":"true","time_limit":null,"type":"batch","where":{"node":[],"not":{"node":[]},"placement":null,"prefer":{}},"workdir":null}',102.0,50,1,'succeeded','',50.0,NULL);
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('core_id','c0ffee');
INSERT INTO "meta" VALUES('epoch','1');
INSERT INTO "meta" VALUES('former_ids','[]');
INSERT INTO "meta" VALUES('stamp','{"host": "lab1", "inode": 17}');
CREATE TABLE nodes (
    name          TEXT PRIMARY KEY,
    host_id       TEXT NOT NULL,
    root_path     TEXT NOT NULL,
    root_id       TEXT NOT NULL,
    drain         TEXT,
    cordon        TEXT,
    cordoned_gpus TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "nodes" VALUES('n1','h1','/s','r1',NULL,NULL,'{"GPU-2": ["root", 3.0, "smoke"]}');
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
INSERT INTO "tasks" VALUES(1,0,'running','','',NULL,1,'j1.0.1','[1.5]',NULL,0.0,0,'["bob", 8.0, "again"]',NULL,NULL);
INSERT INTO "tasks" VALUES(2,0,'succeeded','','',NULL,1,NULL,'[]',NULL,0.0,0,NULL,NULL,0);
CREATE INDEX jobs_live ON jobs (seq) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_name ON jobs (name, seq);
CREATE INDEX attempts_live ON attempts (job) WHERE live;
CREATE INDEX events_job ON events (job, seq) WHERE job IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',2);
INSERT INTO "sqlite_sequence" VALUES('events',1);
COMMIT;
