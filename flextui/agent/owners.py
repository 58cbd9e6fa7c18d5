"""Whose process it is that holds a GPU: account, command, our attempt, or somebody's container.

NVML gives pids only. The rest is read from /proc once per process (known by pid and start time,
as pids come back) and kept while it lives. Environments are looked into for our own mark alone;
nothing else of them is kept or sent.
"""

from __future__ import annotations

import os
import time

from . import limits
from .accounts import user_name
from .containers import Engines, container_id, namespace_owner
from .usage import PAGE, RSS, SHORTEST_S, START, TICK_S, UTIME, stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

    from .containers import Container

MARK = b"FLEXTUI_ATTEMPT="
COMMAND_BOUND = 240
"""Characters of a command line that are sent."""
_NAME_BOUND = 64
_ENVIRON_BOUND = 1 << 20


class Process:
    """What doesn't change while a process lives."""

    __slots__ = ("attempt", "command", "container", "name", "outside", "uid", "user", "work")

    def __init__(self) -> None:
        self.uid: Optional[int] = None
        self.user = ""
        self.name = ""
        self.command = ""
        self.attempt: Optional[str] = None
        self.container: Optional[str] = None
        self.outside: Optional[int] = None
        self.work = Work()


class Work:
    """What it takes of the machine itself, from one look to the next."""

    __slots__ = ("at", "cpu", "ticks")

    def __init__(self) -> None:
        self.at = 0.0
        self.ticks = 0
        self.cpu: Optional[float] = None

    def see(self, fields: List[bytes], now: float) -> Dict[str, Any]:
        """The wire's facts from /proc/PID/stat; null where it can't be read. `cpu` is None until
        there are two looks; one core is 1.0."""
        if not fields:
            return {"cpu": None, "host_memory_bytes": None, "ran_s": None}
        ticks = int(fields[UTIME]) + int(fields[UTIME + 1])
        elapsed = now - self.at
        if not self.at or elapsed >= SHORTEST_S:
            if self.at:
                self.cpu = round(max(0, ticks - self.ticks) * TICK_S / elapsed, 2)
            self.at, self.ticks = now, ticks
        ran = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[START]) * TICK_S
        return {
            "cpu": self.cpu,
            "host_memory_bytes": int(fields[RSS]) * PAGE if len(fields) > RSS else None,
            "ran_s": max(0, int(ran)),
        }


class Owners:
    """Describes the processes on the GPUs; one object keeps what it found."""

    def __init__(self, proc: str = "/proc", engines: Optional[Engines] = None) -> None:
        self._proc = proc
        self._engines = Engines() if engines is None else engines
        self._known: Dict[Tuple[int, int], Process] = {}
        self._users: Dict[int, str] = {}

    def describe(self, pid: int) -> Dict[str, Any]:
        """The wire's facts of one process, without its GPU memory. Texts are empty if unknown."""
        fields = stat(pid, self._proc)
        key = (pid, int(fields[START]) if fields else 0)
        process = self._known.get(key)
        if process is None or not process.command:  # it may not have come to its exec yet
            work = Work() if process is None else process.work
            process = self._known[key] = self._read(pid)
            process.work = work
        container: Optional[Container] = None
        if process.container:
            container = self._engines.describe(process.container, process.uid, process.outside)
        return {
            "pid": pid,
            "user": process.user,
            "name": process.name,
            "command": process.command,
            "attempt": process.attempt or (container.attempt if container else None),
            "container": container.facts() if container else None,
            **process.work.see(fields, time.monotonic()),
        }

    def keep_only(self, pids: Iterable[int]) -> None:
        """Forget the processes that are on no GPU any more."""
        keep = set(pids)
        self._known = {key: found for key, found in self._known.items() if key[0] in keep}
        ids = [process.container for process in self._known.values() if process.container]
        self._engines.forget_all_but(ids)

    def _read(self, pid: int) -> Process:
        folder = "%s/%d" % (self._proc, pid)
        process = Process()
        try:
            process.uid = os.stat(folder).st_uid
        except OSError:
            return process  # gone, or hidden from this account (hidepid)
        process.uid = _real_uid(limits.read(folder + "/status"), process.uid)
        process.user = self._user(process.uid)
        process.name = limits.read(folder + "/comm")[:_NAME_BOUND]
        process.command = _command(folder) or process.name
        process.attempt = marked_attempt(pid, self._proc)
        process.container = container_id(limits.read(folder + "/cgroup"))
        if process.container:
            process.outside = namespace_owner(limits.read(folder + "/uid_map"))
        return process

    def _user(self, uid: int) -> str:
        if uid not in self._users:
            self._users[uid] = user_name(uid)
        return self._users[uid]


def _real_uid(status: str, otherwise: int) -> int:
    """The process's uid; the folder belongs to root when it may not be traced."""
    for line in status.splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    return otherwise


def _command(folder: str) -> str:
    """The command line in one line, cut; control characters become spaces."""
    raw = limits.read(folder + "/cmdline").rstrip("\0").replace("\0", " ")
    text = "".join(c if c.isprintable() else " " for c in raw[: 2 * COMMAND_BOUND])
    return text if len(raw) <= COMMAND_BOUND else text[: COMMAND_BOUND - 1] + "…"


def marked_attempt(pid: int, proc: str = "/proc") -> Optional[str]:
    """The attempt named in a process's environment, if this account may read that."""
    try:
        with open("%s/%d/environ" % (proc, pid), "rb", 0) as file:
            environ = file.readall() or b""
    except OSError:
        return None
    for setting in environ[:_ENVIRON_BOUND].split(b"\0"):
        if setting.startswith(MARK):
            return setting[len(MARK) :].decode("utf-8", "replace")
    return None
