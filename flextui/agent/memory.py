"""Keeping an attempt to its memory, by the best means the node offers.

Where the account's systemd outlives logins, a scope of its own limits the workload and the kernel
enforces it. Elsewhere the tree's memory is looked at once a second (`soft`): resident first, as it
is cheap, and proportional only when that is over, so that shared pages count once. Never
RLIMIT_AS: CUDA maps far more than it uses.
"""

from __future__ import annotations

import os
import time

from . import procs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

EVERY_S = 1.0
_SIGKILL = 9


def command(request: Dict[str, Any]) -> List[str]:
    """What to run: the job's argv, inside a scope of its own where that limits its memory."""
    argv: List[str] = request["argv"]
    if request.get("limit") != "scope":
        return argv
    limit = "MemoryMax=%d" % request["memory_bytes"]
    unit = "--unit=flextui-%s" % request["attempt"]
    scope = ["systemd-run", "--user", "--scope", "--quiet", "--collect", unit]
    return [*scope, "-p", limit, "-p", "MemorySwapMax=0", "--", *argv]


def watch(request: Dict[str, Any], pid: int) -> Unlimited:
    """What watches the memory of an attempt whose main process is `pid`."""
    limit = request.get("memory_bytes")
    if limit is None:
        return Unlimited()
    if request.get("limit") == "scope":
        return Scope(pid)
    return Soft(int(limit))


class Unlimited:
    """No limit was asked for."""

    due: Optional[float] = None
    """When check() wants to be called, by the monotonic clock."""

    def check(self, now: float) -> Optional[str]:
        """Why the attempt must end now; None when it may go on."""
        return None

    def verdict(self, status: Optional[int], why: str, text: str) -> Tuple[str, str]:
        """The reason of an end, seen by what the kernel did about memory."""
        return why, text


class Soft(Unlimited):
    """Looks at the memory of the supervisor's descendants once a second."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.due = time.monotonic() + EVERY_S

    def check(self, now: float) -> Optional[str]:
        if self.due is None or now < self.due:
            return None
        self.due = now + EVERY_S
        tree = procs.descendants(os.getpid())
        if procs.resident(tree) <= self._limit:
            return None
        used = procs.pss(tree)
        if used <= self._limit:
            return None
        self.due = None
        return "it used %s of %s of memory" % (_size(used), _size(self._limit))


class Scope(Unlimited):
    """The kernel enforces the limit; this only finds out afterwards that it did."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._events = ""
        self.due = time.monotonic()

    def check(self, now: float) -> Optional[str]:
        """Learn the scope's place, which systemd gives the process soon after its start."""
        if self.due is None or now < self.due:
            return None
        self.due = now + EVERY_S / 10
        path = _cgroup(self._pid)
        if path.endswith(".scope"):
            self._events = "/sys/fs/cgroup%s/memory.events" % path
            self.due = None
        return None

    def verdict(self, status: Optional[int], why: str, text: str) -> Tuple[str, str]:
        killed = status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == _SIGKILL
        if why == "exit" and killed and _oom_kills(self._events):
            return "memory", "the kernel ended it at its memory limit"
        return why, text


def _cgroup(pid: int) -> str:
    try:
        with open("/proc/%d/cgroup" % pid) as file:
            for line in file:
                if line.startswith("0::"):
                    return line[3:].strip()
    except OSError:
        pass
    return ""


def _oom_kills(path: str) -> int:
    try:
        with open(path) as file:
            for line in file:
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    except OSError:
        pass
    return 0


def _size(count: int) -> str:
    return "%.1f GiB" % (count / 2**30) if count >= 2**30 else "%.1f MiB" % (count / 2**20)
