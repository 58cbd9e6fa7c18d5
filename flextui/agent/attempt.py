"""The folder of one attempt: what is written there, and what may be concluded from it.

An attempt is its folder. The flock on ``lock`` says whether a supervisor lives; ``identity.json``
(complete) says that the workload may have run; ``exit.json`` says how it ended; ``tombstone`` says
that it will never run. Everything is read and written relative to an open descriptor of the
folder, so a home that is hidden or a folder that is moved in the middle of a run changes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from . import FORMAT, fastjson, logs, records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Record = Dict[str, Any]

DONE = "done"
"""Folder of a core's acknowledged attempts, kept for their logs."""

LOST = ("supervisor_lost", "boot")
"""Reasons of an end whose exit code nobody saw."""

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def valid_name(name: object) -> bool:
    """Whether this may be an attempt's or a core's id.

    It becomes a folder's name, and part of a socket's address, which may have 108 bytes.
    """
    return (
        isinstance(name, str)
        and 0 < len(name) <= 64
        and name[0] not in ".-"
        and name != DONE
        and _LETTERS.issuperset(name)
    )


def make(core_fd: int, name: str) -> int:
    """Make the folder if nobody has, and open it. Raises OSError."""
    try:
        os.mkdir(name, 0o700, dir_fd=core_fd)
    except FileExistsError:
        pass
    return open_folder(core_fd, name)


def open_folder(core_fd: int, name: str) -> int:
    """Open an existing attempt's folder. Raises OSError."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=core_fd)


def find(core_fd: int, name: str) -> int:
    """Open an attempt's folder, acknowledged or not. Raises FileNotFoundError."""
    try:
        return open_folder(core_fd, name)
    except FileNotFoundError:
        return open_folder(core_fd, os.path.join(DONE, name))


def lock(folder: int, patience: float = 0.0) -> Optional[int]:
    """Take the attempt's lock; None when somebody holds it for longer than `patience` seconds.

    Whoever holds it decides about the attempt; it frees itself when the holder dies. Once there is
    an identity the lock isn't made again: one whose file is gone may be held all the same.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW
    if not exists(folder, "identity.json"):
        flags |= os.O_CREAT
    try:
        fd = os.open("lock", flags, 0o600, dir_fd=folder)
    except FileNotFoundError:
        return None
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(fd)
                raise
        if time.monotonic() >= deadline:
            os.close(fd)
            return None
        time.sleep(0.01)


def identity(folder: int) -> Optional[Record]:
    """What runs here; None when the workload was never let go."""
    return records.read(folder, "identity.json")


def ending(folder: int) -> Optional[Record]:
    """How it ended; None when it has not."""
    return records.read(folder, "exit.json")


def tombstone(folder: int) -> Optional[Record]:
    """Why it will never run; None where there is no tombstone."""
    found = records.read(folder, "tombstone")
    if found is None and exists(folder, "tombstone"):
        return {"code": "no_space", "text": "the disk was too full to say more"}
    return found


def settled(folder: int) -> bool:
    """Whether its fate is decided: it may have run, or never will."""
    return identity(folder) is not None or exists(folder, "tombstone")


def bury(folder: int, code: str, text: str, nonce: str = "") -> None:
    """Make sure that this attempt never runs. The caller holds the lock. Raises OSError."""
    grave = {"code": code, "text": _fit(text, 400), "nonce": nonce}
    records.write(folder, "tombstone", grave)
    os.fsync(folder)


def new_identity(request: Record, pid: int, ticks: int, own_ticks: int) -> Record:
    """What identity.json says of a workload that is about to be let go."""
    return {
        "format": FORMAT,
        "attempt": request["attempt"],
        "nonce": request.get("nonce") or "",
        "job": request.get("job"),
        "task": request.get("task"),
        "labels": request.get("labels") or {},
        "core_id": request["core_id"],
        "epoch": request["epoch"],
        "boot": request["boot"],
        "pid": pid,
        "ticks": ticks,
        "supervisor": {"pid": os.getpid(), "ticks": own_ticks},
        "started_at": time.time(),
        "started_boot": time.clock_gettime(time.CLOCK_BOOTTIME),
        "devices": [device["uuid"] for device in request.get("devices") or ()],
        "limit": request.get("limit"),
        "lease_s": request.get("lease_s"),
    }


def new_ending(
    why: str,
    text: str,
    log: Dict[str, int],
    ran_s: Optional[float],
    status: Optional[int],
    last: str = "",
) -> Record:
    """What exit.json says; `status` is waitpid's, None when nobody saw the end."""
    code = os.WEXITSTATUS(status) if status is not None and os.WIFEXITED(status) else None
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
    return {
        "code": code,
        "signal": number,
        "why": why,
        "text": _fit(text, 400),
        "last": "" if status == 0 else _fit(last, 1024),
        "ended_at": time.time(),
        "ran_s": ran_s,
        "log": log,
    }


def _fit(text: str, size: int) -> str:
    """The text's end, in at most `size` bytes of UTF-8 and escapes: the record owns one block."""
    while len(fastjson.dumps(text).encode("utf-8", "replace")) > size + 2:
        text = text[len(text) // 8 + 1 :]
    return text


def record(name: str, folder: int, boot: str) -> Optional[Record]:
    """The wire's RECORD of an attempt that ran, runs or was buried; None if nothing is settled."""
    found = identity(folder)
    if found is not None:
        return as_record(name, found, ending(folder), boot, logs.sizes(folder))
    grave = tombstone(folder)
    return None if grave is None else never(name, grave.get("nonce"))


def as_record(
    name: str,
    found: Record,
    ended: Optional[Record],
    boot: str,
    log: Optional[Dict[str, int]] = None,
) -> Record:
    """The wire's RECORD, from an identity and an ending.

    `name` is the folder's: an attempt that was adopted may have been called otherwise before.
    """
    state = "running" if ended is None else "lost" if ended.get("why") in LOST else "ended"
    ago = None
    if found.get("boot") == boot:
        ago = time.clock_gettime(time.CLOCK_BOOTTIME) - float(found["started_boot"])
    return {
        "attempt": name,
        "nonce": found.get("nonce") or "",
        "job": found.get("job"),
        "task": found.get("task"),
        "state": state,
        "pid": found["pid"],
        "started_at": found["started_at"],
        "started_ago_s": ago,
        "exit": ended and {key: value for key, value in ended.items() if key != "log"},
        "devices": found.get("devices") or [],
        "log": (ended or {}).get("log") or log or {"out": 0, "err": 0},
        "limit": found.get("limit"),
    }


def never(name: str, nonce: Optional[str]) -> Record:
    """The wire's RECORD of an attempt that will not run; nonce None: nobody knows whose it was."""
    return {
        "attempt": name,
        "nonce": nonce,
        "job": None,
        "task": None,
        "state": "never",
        "pid": None,
        "started_at": None,
        "started_ago_s": None,
        "exit": None,
        "devices": [],
        "log": {"out": 0, "err": 0},
        "limit": None,
    }


def is_of(record: Record, nonce: str) -> bool:
    """Whether a record is that of the attempt with this nonce.

    A tombstone that a full disk left empty answers for any: nobody ran there.
    """
    return record["nonce"] is None or bool(record["nonce"] == nonce)


def names(core_fd: int) -> List[str]:
    """The attempts that have a folder and were not acknowledged."""
    with os.scandir(core_fd) as entries:
        return [
            entry.name
            for entry in entries
            if valid_name(entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def exists(parent: int, name: str) -> bool:
    """Whether there is anything of that name."""
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def make_done(core_fd: int) -> None:
    """Make the folder of acknowledged attempts. Raises OSError."""
    try:
        os.mkdir(DONE, 0o700, dir_fd=core_fd)
    except FileExistsError:
        pass


def retire(core_fd: int, name: str) -> None:
    """Move an acknowledged attempt to where only its logs are kept. Raises OSError."""
    path = os.path.join(DONE, name)
    try:
        os.rename(name, path, src_dir_fd=core_fd, dst_dir_fd=core_fd)
    except FileNotFoundError:
        make_done(core_fd)
        os.rename(name, path, src_dir_fd=core_fd, dst_dir_fd=core_fd)


def size(parent: int, name: str) -> int:
    """Bytes that an attempt's folder holds. Raises OSError."""
    folder = open_folder(parent, name)
    try:
        return sum(
            os.stat(entry, dir_fd=folder, follow_symlinks=False).st_size
            for entry in os.listdir(folder)
        )
    finally:
        os.close(folder)


def remove(parent: int, name: str) -> None:
    """Delete an attempt's folder. Raises OSError."""
    folder = open_folder(parent, name)
    try:
        for entry in os.listdir(folder):
            os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def never_ran(core_fd: int, name: str, age_s: float) -> bool:
    """Whether an attempt was buried longer than `age_s` ago. Raises OSError."""
    folder = open_folder(core_fd, name)
    try:
        buried = os.stat("tombstone", dir_fd=folder, follow_symlinks=False)
        return time.time() - buried.st_mtime > age_s and identity(folder) is None
    except FileNotFoundError:
        return False
    finally:
        os.close(folder)
