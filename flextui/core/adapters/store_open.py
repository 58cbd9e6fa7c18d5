"""Opening the database with suspicion: what is wrong with it is said, never papered over.

A database that was cut short, isn't ours, or is from a newer version is refused with what to do.
It is never replaced: it may be the only record of what runs in the fleet.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import os
import secrets
import shutil
import socket
import sqlite3
import struct
import time
from pathlib import Path

from flextui.core.adapters.filesystem import local_suggestion, network_type
from flextui.core.adapters.paths import DATABASE
from flextui.core.ports import StoreError

DB_NAME = DATABASE
SCHEMA_VERSION = 4
APPLICATION_ID = 0x666C7874  # "flxt"
CHECK_BUDGET_S = 0.3
"""The integrity check at open stops after this long: opening stays quick however big it is."""

_ROOM = 1 << 20
"""Bytes that a database needs around it, at least."""
_HEADER = b"SQLite format 3\x00"


def open_writable(folder: Path) -> sqlite3.Connection:
    """The database of this state directory, made if there is none. Raises `StoreError`."""
    path = folder / DB_NAME
    if kind := network_type(folder):
        raise StoreError(
            f"{folder} is on a network filesystem ({kind}), where a database isn't safe: "
            f"use a local folder, such as --state-dir {local_suggestion()}"
        )
    if not path.exists():
        _create(path)
    _check_header(path)
    try:
        _inspected(path).close()
        connection = _connect(path)
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _check_length(path)
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from error
    return connection


def open_readonly(folder: Path) -> sqlite3.Connection:
    """The same for reading beside or without a core. Raises `StoreError`."""
    path = folder / DB_NAME
    if not path.exists():
        raise StoreError(f"there is no database in {folder}: no core has run with this state")
    _check_header(path)
    try:
        connection = _inspected(path)
        if _version(connection) == SCHEMA_VERSION:
            return connection
        connection.close()
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from error
    raise StoreError(f"{path} was written by an older flextui: start the core once, to convert it")


def _inspected(path: Path) -> sqlite3.Connection:
    """A connection that only reads, after all checks that need no other.

    Nothing may be written before: a connection that can write works the -wal file in as it ends.
    """
    connection = _connect(path, "ro")
    try:
        _check_version(connection, path)
        _check_length(path)
        _check_pages(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


_NOT_NOW = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN,
}  # fmt: skip
"""Result codes that say nothing about the database itself."""


def unusable(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """The error for a database that can't be used: damaged, or kept from it by what is around."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    free = shutil.disk_usage(path.parent).free
    if code in _NOT_NOW or (code == sqlite3.SQLITE_IOERR and free < _ROOM):
        room = f": {free // 1024} KiB are free there" if free < _ROOM else ""
        return StoreError(f"{path} can't be used now ({error}{room}). Nothing was changed")
    return damaged(path, str(error))


def damaged(path: Path, what: str) -> StoreError:
    """The error for a database that can't be read as a whole."""
    return StoreError(
        f"{path} is damaged ({what}). Nothing was changed. Put a backup of it in its place, or, "
        f"to begin with an empty one, move it and its -wal file away: jobs that still run on "
        "nodes then show as orphans"
    )


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(
        f"file:{quoted}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=5.0,
    )
    connection.execute("PRAGMA cache_size = -8192")
    return connection


# ── a new one ──────────────────────────────────────────────────────────────────────────────────


def _create(path: Path) -> None:
    """Made under another name and renamed, so that a database is there whole or not at all."""
    if path.with_name(f"{DB_NAME}-wal").exists():
        raise damaged(path, "the file is gone and its -wal file is left")
    fresh = path.with_name(f"{DB_NAME}.new-{secrets.token_hex(4)}")
    schema = _sql("schema")
    try:
        fresh.touch(mode=0o600)
        connection = _connect(fresh)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            f"BEGIN; {schema}"
            f"PRAGMA user_version = {SCHEMA_VERSION}; PRAGMA application_id = {APPLICATION_ID};"
            "COMMIT;"
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.rename(path)
    except (sqlite3.Error, OSError) as error:
        for left in (fresh, Path(f"{fresh}-wal"), Path(f"{fresh}-shm")):
            left.unlink(missing_ok=True)
        raise StoreError(f"{path} can't be made: {error}") from error


# ── checks ─────────────────────────────────────────────────────────────────────────────────────


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}") from error
    if len(head) < 100:
        raise damaged(path, f"it was cut short to {len(head)} bytes")
    if not head.startswith(_HEADER):
        raise damaged(path, "it isn't a SQLite database")


def _check_length(path: Path) -> None:
    """The header knows how many pages there are. Holds once the -wal file is worked in."""
    wal = path.with_name(f"{DB_NAME}-wal")
    if wal.exists() and wal.stat().st_size:
        return  # the check of the pages finds what is missing
    with path.open("rb") as file:
        head = file.read(100)
    (page,) = struct.unpack(">H", head[16:18])
    (pages,) = struct.unpack(">I", head[28:32])
    wanted = pages * (65536 if page == 1 else page)
    size = path.stat().st_size
    if size < wanted:
        raise damaged(path, f"it was cut short: {size} of {wanted} bytes are left")


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program: use another --state-dir")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer flextui (format {version}, this one knows "
            f"{SCHEMA_VERSION}). Nothing was changed. Install that version again, or use another "
            "--state-dir"
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the format of an older version up to date, each step in one transaction."""
    for version in range(_version(connection) + 1, SCHEMA_VERSION + 1):
        step = _sql(f"migrate_{version}")
        connection.executescript(
            f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {version}; COMMIT;"
        )


def _sql(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(f"{name}.sql").read_text("utf-8")


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite's own quick check, for as long as the budget lasts."""
    deadline = time.monotonic() + CHECK_BUDGET_S
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    try:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        found = ["ok"]
    finally:
        connection.set_progress_handler(None, 0)
    if found != ["ok"]:
        raise damaged(path, found[0].splitlines()[-1])


# ── whose it is ────────────────────────────────────────────────────────────────────────────────


def stamp(path: Path) -> str:
    """What tells this very file on this very machine from a copy of it."""
    return json.dumps({"host": _machine(), "inode": path.stat().st_ino})


def _machine() -> str:
    for source in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            if text := Path(source).read_text().strip():
                return text
    return socket.gethostname()
