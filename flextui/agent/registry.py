"""The attempts of one core on this node, as the agent knows them.

Supervisors tell of changes by datagram the moment they are on disk. As a datagram may be lost with
an agent and a supervisor may be killed, locks are looked at once a second too: a lock that is free
without an exit record means that nobody looks after the workload any more. Then its processes are
killed until two scans find none, and only then is the attempt said to be lost.
"""

from __future__ import annotations

import os

from . import attempt, logs, procs, records
from .light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Tuple

    from .attempt import Record

PROBE_S = 1.0
KILL_S = 0.1
_CLEAN_SCANS = 2


class _Lost:
    """An attempt without a supervisor, whose processes are being ended."""

    def __init__(self, folder: int, lock: Optional[int], identity: Record) -> None:
        self.folder = folder
        self.lock = lock
        self.identity = identity
        self.clean = 0
        self._kin: Dict[int, int] = {}

    def kin(self, here: bool) -> List[int]:
        """What belongs to it though it shed the mark, seen while the main process lived.

        A session's number alone proves nothing once its leader is gone: it may be another's.
        """
        pid, ticks = int(self.identity["pid"]), int(self.identity["ticks"])
        if here and procs.alive(pid, ticks):
            for member in [*procs.session(pid), *procs.descendants(pid)]:
                self._kin[member] = procs.ticks(member) or 0
        return [member for member, born in self._kin.items() if procs.alive(member, born)]

    def close(self) -> None:
        if self.lock is not None:
            os.close(self.lock)
        os.close(self.folder)


class Registry:
    """What exists on disk and what became of it. Every change is given to `changed`."""

    def __init__(
        self, core_fd: int, boot: str, driving: bool, changed: Callable[[Record], None]
    ) -> None:
        """`driving`: this core drives the node; only then lost attempts are ended."""
        self._core = core_fd
        self._driving = driving
        self._boot = boot
        self._changed = changed
        self._records: Dict[str, Record] = {}
        self._supervisors: Dict[str, int] = {}
        self._lost: Dict[str, _Lost] = {}
        self._renamed: Dict[Tuple[str, str], str] = {}

    def load(self) -> None:
        """Read all folders that were not acknowledged. Raises OSError."""
        for name in attempt.names(self._core):
            folder = attempt.open_folder(self._core, name)
            try:
                found = attempt.identity(folder)
                if found is not None:
                    self._records[name] = self._full_record(name, folder, found)
                    self._supervisors[name] = int(found["supervisor"]["pid"])
                    if name != found["attempt"]:
                        self._renamed[_marks(found)] = name
            finally:
                os.close(folder)

    def records(self) -> List[Record]:
        """All records."""
        return list(self._records.values())

    def get(self, name: str) -> Optional[Record]:
        """What is known of an attempt, acknowledged ones included; None: nothing is settled."""
        path = name if name in self._records else os.path.join(attempt.DONE, name)
        try:
            folder = attempt.open_folder(self._core, path)
        except FileNotFoundError:
            return self._records.get(name)
        try:
            return attempt.record(name, folder, self._boot)
        finally:
            os.close(folder)

    def live(self) -> Dict[str, int]:
        """Attempts that run, and the pids of their supervisors."""
        return {name: pid for name, pid in self._supervisors.items() if self._runs(name)}

    def empty(self) -> bool:
        """Whether nothing lives here and nothing waits to be acknowledged."""
        return not self._records

    def hear(self, identity: Record, ending: Optional[Record]) -> None:
        """Take a supervisor's word for what is on disk now."""
        record = attempt.as_record(self.name_of(identity), identity, ending, self._boot)
        self._learn(record, int(identity["supervisor"]["pid"]))

    def name_of(self, sender: Record) -> str:
        """The folder's name of the attempt that a supervisor speaks for by its first name."""
        name = str(sender["attempt"])
        return self._renamed.get((str(sender.get("core_id")), name), name)

    def _learn(self, record: Record, supervisor: Optional[int] = None) -> None:
        """Take a newer record; what is over stays as it was."""
        name = record["attempt"]
        known = self._records.get(name)
        if known is not None and (known["state"] != "running" or record["state"] == "running"):
            return
        if known is None and not attempt.exists(self._core, name):
            return  # late word of an end that was acknowledged already
        self._records[name] = record
        if supervisor is not None:
            self._supervisors[name] = supervisor
        self._changed(record)

    def acknowledge(self, names: List[str]) -> None:
        """The core has these ends durably: keep only their logs. Raises OSError."""
        for name in names:
            known = self._records.get(name)
            if known is None or known["state"] == "running":
                continue
            try:
                attempt.retire(self._core, name)
            except FileNotFoundError:
                pass  # somebody tidied up: then there is nothing to keep
            del self._records[name]
            self._supervisors.pop(name, None)

    def probe_all(self) -> None:
        """Look whether every running attempt is still looked after."""
        for name in [name for name in self._records if self._runs(name)]:
            self.probe(name)

    def probe(self, name: str) -> bool:
        """Look at an attempt's folder; False when nothing was decided and nobody is at it."""
        if name in self._lost:
            return True
        try:
            folder = attempt.open_folder(self._core, name)
        except FileNotFoundError:
            return False
        keep = False
        try:
            found = attempt.identity(folder)
            if found is not None and (attempt.ending(folder) or name not in self._records):
                pid = int(found["supervisor"]["pid"])
                self._learn(self._full_record(name, folder, found), pid)
            if found is not None and not (self._driving and self._runs(name)):
                return True
            lock = attempt.lock(folder)
            if lock is None and (found is None or attempt.exists(folder, "lock")):
                return True
            found = attempt.identity(folder)
            if (
                found is None
                or attempt.ending(folder)
                or not self._is_dead(found, lock is not None)
            ):
                if lock is not None:
                    os.close(lock)
                return found is not None
            self._lost[name] = _Lost(folder, lock, found)
            keep = True
            return True
        finally:
            if not keep:
                os.close(folder)

    def abandon(
        self, name: str, nonce: str, code: str = "tombstone", text: str = "the start was abandoned"
    ) -> Optional[Record]:
        """Make sure that an attempt never starts. None: somebody is at it now, ask again.

        What is there already is told, whoever's it is.

        Raises OSError when the tombstone can't be written.
        """
        known = self.get(name)
        if known is not None:
            return known
        folder = attempt.make(self._core, name)
        try:
            lock = attempt.lock(folder)
            if lock is None:
                return None
            try:
                if not attempt.settled(folder):
                    attempt.bury(folder, code, text, nonce)
            finally:
                os.close(lock)
            record = attempt.record(name, folder, self._boot)
        finally:
            os.close(folder)
        self.probe(name)
        return record

    def tombstone(self, name: str) -> Optional[Record]:
        """Why an attempt will never run; None where nobody buried it."""
        try:
            folder = attempt.open_folder(self._core, name)
        except FileNotFoundError:
            return None
        try:
            return attempt.tombstone(folder)
        finally:
            os.close(folder)

    @property
    def losing(self) -> bool:
        """Whether kill_lost() has work to do."""
        return bool(self._lost)

    def kill_lost(self) -> None:
        """End processes of attempts without a supervisor; one step, to be repeated."""
        if not self._lost:
            return
        found = procs.marked([_marks(lost.identity) for lost in self._lost.values()])
        for name, lost in list(self._lost.items()):
            targets = {
                *found[_marks(lost.identity)],
                *lost.kin(lost.identity["boot"] == self._boot),
            }
            for pid in targets:
                procs.send([pid, *procs.descendants(pid)], signal.SIGKILL)
            lost.clean = 0 if targets else lost.clean + 1
            if lost.clean >= _CLEAN_SCANS:
                self._write_lost(name, lost)

    def _write_lost(self, name: str, lost: _Lost) -> None:
        here = lost.identity["boot"] == self._boot
        crash = records.read(lost.folder, "crash.json") or {}
        text = crash.get("text") or (
            "its supervisor was killed" if here else "the node was started anew while it ran"
        )
        why = "supervisor_lost" if here else "boot"
        ending = attempt.new_ending(why, text, logs.sizes(lost.folder), None, None)
        records.write(lost.folder, "exit.json", ending)
        del self._lost[name]
        lost.close()
        self._learn(attempt.as_record(name, lost.identity, ending, self._boot))

    def _runs(self, name: str) -> bool:
        return name in self._records and self._records[name]["state"] == "running"

    def _is_dead(self, identity: Record, free: bool) -> bool:
        """Whether the supervisor is gone for certain; `free`: its lock could be taken.

        Not even that is proof where the process is seen: the lock's file may be another one.
        """
        boot = str(identity["boot"])
        if boot != self._boot:
            # Another boot id: all of that boot is gone. Another container: only the lock can tell.
            return free or boot.split(".")[0] != self._boot.split(".")[0]
        supervisor = identity["supervisor"]
        return not procs.alive(int(supervisor["pid"]), int(supervisor["ticks"]))

    def _full_record(self, name: str, folder: int, identity: Record) -> Record:
        ended = attempt.ending(folder)
        return attempt.as_record(name, identity, ended, self._boot, logs.sizes(folder))


def _marks(identity: Record) -> Tuple[str, str]:
    """What its processes carry: the core that started it, and its name at that core."""
    return str(identity["core_id"]), str(identity["attempt"])
