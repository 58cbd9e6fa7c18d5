"""Who drives this account on this node: one core, one agent of it, and what ends the others.

The record ``driver.json`` is changed under the lock ``driver.lock``; a supervisor holds that lock
shared from its look at the record until its workload is let go, so nothing of a former driver
starts after a takeover. Epochs order the starts of one core; ``agent.lock`` orders its agents.
"""

from __future__ import annotations

import fcntl
import os
import time

from . import attempt, procs, records
from .light import signal
from .root import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .wire import Message

TOUCH_S = 10.0
"""How often a connected agent shows that its core is in touch."""

KEEP_S = 60.0
"""How long a driver out of touch keeps the node, in seconds."""

_PATIENCE_S = 2.0
_LOCK_PATIENCE_S = 10.0


class Driver:
    """This core's standing on the node."""

    def __init__(self, host_fd: int, core_fd: int, hello: Message, boot: str) -> None:
        self._host = host_fd
        self._core = core_fd
        self._id = str(hello["core_id"])
        self._epoch = int(hello["epoch"])
        self._owner = str(hello.get("owner") or "?")[:64]
        self._core_boot = hello.get("core_boot")
        self._takeover = bool(hello.get("takeover"))
        self._boot = boot
        self._agent_lock = -1
        self.granted = False
        self.record: Optional[Dict[str, Any]] = None
        """The driver's record, ours or another's."""

    def enter(self) -> None:
        """Become the core's one agent and find out whether the core drives the node.

        Raises Problem (epoch, state_unwritable), OSError.
        """
        lock = self._lock()
        try:
            if self._check_epoch() < self._epoch:
                records.write(self._core, "epoch.json", {"epoch": self._epoch})
        finally:
            os.close(lock)
        self._agent_lock = end_agent(self._core)
        me = {"pid": os.getpid(), "ticks": procs.ticks(os.getpid())}
        records.write(self._core, "agent.lock", me, durable=False)
        lock = self._lock()
        try:
            self._check_epoch()
            former = self._decide()
        finally:
            os.close(lock)
        if former is not None:
            self._fence(former)

    def adopt(self, core_ids: List[str]) -> None:
        """Take the attempts of other cores over: their folders become ours. Raises OSError."""
        for core_id in core_ids:
            if not attempt.valid_name(core_id) or core_id == self._id:
                continue
            try:
                other = attempt.open_folder(self._host, core_id)
            except FileNotFoundError:
                continue
            try:
                lock = end_agent(other)
                self._move(other, core_id, "", attempt.names(other))
                self._move(other, core_id, attempt.DONE + "/", _done_names(other))
                os.close(lock)
            finally:
                os.close(other)

    def touch(self) -> None:
        """Show that the core is in touch."""
        if self.granted:
            os.utime(self._agent_lock)

    def release(self, free: bool) -> None:
        """The core leaves the node; `free`: nothing of it is left there. Raises OSError."""
        lock = self._lock()
        try:
            found = records.read(self._host, "driver.json") or {}
            if found.get("core_id") == self._id:
                found = {} if free else dict(found, released=True)
                records.write(self._host, "driver.json", found)
        finally:
            os.close(lock)

    def usurper(self) -> Optional[str]:
        """The owner of the core that took the node over from us; None if none did."""
        found = records.read(self._host, "driver.json") or {}
        return None if found.get("core_id") == self._id else str(found.get("owner", "?"))

    def _lock(self) -> int:
        fd = os.open(
            "driver.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self._host
        )
        if _flock(fd, _LOCK_PATIENCE_S):
            return fd
        os.close(fd)
        raise Problem("state_unwritable", "another start holds driver.lock: try again")

    def _check_epoch(self) -> int:
        seen = int((records.read(self._core, "epoch.json") or {}).get("epoch", 0))
        if seen > self._epoch:
            raise Problem(
                "epoch",
                "epoch %d of this core was here already, this is %d: a newer start runs, or the "
                "state directory was restored from a backup" % (seen, self._epoch),
            )
        return seen

    def _decide(self) -> Optional[str]:
        """Take the record if it is ours, free or taken over; returns whom that fences."""
        found = records.read(self._host, "driver.json") or None
        other = found is not None and found.get("core_id") != self._id
        if found is not None and other and not self._takeover and self._held(found):
            self.record = _public(found)
            return None
        since = time.time() if found is None or other else found.get("since_at")
        new = {
            "core_id": self._id,
            "epoch": self._epoch,
            "owner": self._owner,
            "since_at": since,
            "core_boot": self._core_boot,
        }
        if new != found:
            records.write(self._host, "driver.json", new)
        self.record, self.granted = _public(new), True
        return str(found["core_id"]) if found is not None and other else None

    def _held(self, found: Dict[str, Any]) -> bool:
        """Whether another core's record still counts."""
        if self._is_dead(found.get("core_boot")):
            return False
        core_id = found.get("core_id")
        if not attempt.valid_name(core_id):
            return False
        try:
            other = attempt.open_folder(self._host, str(core_id))
        except FileNotFoundError:
            return False
        try:
            return (
                _locked(other)
                or (not found.get("released") and _touched(other))
                or any(_ran(other, name) for name in attempt.names(other))
            )
        finally:
            os.close(other)

    def _is_dead(self, core_boot: Optional[Dict[str, Any]]) -> bool:
        """Whether a core that shares this host is known to have ended."""
        if not core_boot:
            return False
        boot = str(core_boot.get("boot"))
        if boot != self._boot:
            # Another boot id: it ended with that boot. Another container: nobody can tell.
            return boot.split(".")[0] != self._boot.split(".")[0]
        return not procs.alive(int(core_boot["pid"]), int(core_boot["ticks"]))

    def _fence(self, core_id: str) -> None:
        try:
            other = attempt.open_folder(self._host, core_id)
        except FileNotFoundError:
            return
        os.close(end_agent(other))
        os.close(other)

    def _move(self, other: int, core_id: str, prefix: str, names: List[str]) -> None:
        if prefix and names:
            attempt.make_done(self._core)
        for name in names:
            path = prefix + self._free_name(name, core_id)
            os.rename(prefix + name, path, src_dir_fd=other, dst_dir_fd=self._core)

    def _free_name(self, name: str, core_id: str) -> str:
        """What an adopted attempt is called here: we may have one of its name."""
        found, number = name, 1
        while any(attempt.exists(self._core, place + found) for place in ("", attempt.DONE + "/")):
            found = "%s_%s%s" % (name, core_id[:8], "" if number == 1 else "_%d" % number)
            number += 1
        return found


def end_agent(core_fd: int) -> int:
    """Take a core's agent.lock, ending the agent that holds it. Raises Problem, OSError."""
    fd = os.open("agent.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=core_fd)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _flock(fd, 0.0):
            return fd
        holder = records.read(core_fd, "agent.lock") or {}
        pid = int(holder.get("pid", 0))
        if pid and procs.alive(pid, int(holder.get("ticks", 0))):
            procs.send([pid], number)
        if _flock(fd, _PATIENCE_S):
            return fd
    os.close(fd)
    raise Problem("state_unwritable", "another agent holds agent.lock and can't be ended")


def _flock(fd: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(0.005)


def _locked(core_fd: int) -> bool:
    """Whether an agent of that core is connected."""
    try:
        fd = os.open("agent.lock", os.O_RDWR | os.O_NOFOLLOW, dir_fd=core_fd)
    except FileNotFoundError:
        return False
    try:
        return not _flock(fd, 0.0)
    finally:
        os.close(fd)


def _touched(core_fd: int) -> bool:
    try:
        age = time.time() - os.stat("agent.lock", dir_fd=core_fd).st_mtime
    except FileNotFoundError:
        return False
    return abs(age) < KEEP_S


def _ran(core_fd: int, name: str) -> bool:
    """Whether an attempt is live or unacknowledged."""
    try:
        folder = attempt.open_folder(core_fd, name)
    except FileNotFoundError:
        return False
    try:
        return attempt.identity(folder) is not None
    finally:
        os.close(folder)


def _done_names(core_fd: int) -> List[str]:
    try:
        done = attempt.open_folder(core_fd, attempt.DONE)
    except FileNotFoundError:
        return []
    try:
        return attempt.names(done)
    finally:
        os.close(done)


def _public(found: Dict[str, Any]) -> Dict[str, Any]:
    return {key: found.get(key) for key in ("core_id", "owner", "since_at")}
