"""Processor time and memory of each attempt, at a price that doesn't grow with the machine.

The tree below each supervisor is looked up now and then, as a box may run thousands of foreign
processes; between two look-ups only the processes that are known are read. Processor time is the
sum of own and waited-for time over the tree: a child that ends moves into its parent's account,
so short-lived children count as well.
"""

from __future__ import annotations

import os
import time

from .activity import Activity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional, Set

LOOK_EVERY_S = 2.0
LOOK_SHARE = 0.003
"""Of one core's time, at most, for looking up the trees."""
NEW_SHARE = 0.02
"""The same while attempts keep starting."""
SHORTEST_S = 0.2
"""Of an interval that gives a meaningful rate: the kernel counts in hundredths of a second."""
_GENERATIONS = 64
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Places in /proc/PID/stat, counted from the state.
_PARENT, UTIME, _CSTIME, START, RSS = 1, 11, 14, 19, 21


def stat(pid: int, proc: str = "/proc") -> List[bytes]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        fd = os.open("%s/%d/stat" % (proc, pid), os.O_RDONLY)
    except OSError:
        return []
    try:
        data = os.read(fd, 1024)
    except OSError:
        return []
    finally:
        os.close(fd)
    fields = data[data.rfind(b")") + 2 :].split()
    return fields if len(fields) > START else []


def attempt_by_ancestry(
    pid: int, supervisors: Mapping[int, str], proc: str = "/proc"
) -> Optional[str]:
    """The attempt whose supervisor (pid → attempt) is an ancestor of a process.

    For workloads that overwrite their environment, as programs that set their title do.
    """
    for _ in range(_GENERATIONS):
        if pid in supervisors:
            return supervisors[pid]
        fields = stat(pid, proc) if pid > 1 else []
        if not fields:
            return None
        pid = int(fields[_PARENT])
    return None


class _Tree:
    """What is remembered of one attempt's processes."""

    __slots__ = ("activity", "pids", "ticks")

    def __init__(self, proc: str) -> None:
        self.activity = Activity(proc)
        self.pids: Set[int] = set()
        self.ticks: Dict[int, int] = {}


class Usage:
    """Measures all attempts at once, each time that measure() is called."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._trees: Dict[str, _Tree] = {}
        self._look_at = 0.0
        self._look_early_at = 0.0
        self._measured_at: Optional[float] = None
        self._last: Dict[str, Dict[str, Optional[float]]] = {}

    def measure(self, attempts: Mapping[str, int]) -> Dict[str, Dict[str, Optional[float]]]:
        """CPU (1.0 is one core; None the first time), memory in bytes and seconds since somebody
        last worked with it by hand (None where nothing tells), by attempt.

        `attempts` gives each one's supervisor, whose own use doesn't count.
        """
        now = time.monotonic()
        if self._last.keys() == attempts.keys() and now - (self._measured_at or 0) < SHORTEST_S:
            return self._last
        new = attempts.keys() - self._trees.keys()
        for gone in self._trees.keys() - attempts.keys():
            del self._trees[gone]
        if attempts and now >= (self._look_early_at if new else self._look_at):
            self._look(attempts)
        elapsed = None if self._measured_at is None else now - self._measured_at
        self._measured_at = now
        self._last = {
            name: self._attempt(self._trees[name], supervisor, elapsed)
            for name, supervisor in attempts.items()
            if name in self._trees
        }
        return self._last

    def _look(self, attempts: Mapping[str, int]) -> None:
        """Find the processes below each supervisor by one pass over /proc."""
        began = time.process_time()
        children: Dict[int, List[int]] = {}
        for entry in os.listdir(self._proc):
            if entry.isdigit():
                fields = stat(int(entry), self._proc)
                if fields:
                    children.setdefault(int(fields[_PARENT]), []).append(int(entry))
        for name, supervisor in attempts.items():
            tree = self._trees.setdefault(name, _Tree(self._proc))
            tree.pids = set()
            todo = [supervisor]
            while todo:
                below = children.get(todo.pop(), [])
                tree.pids.update(below)
                todo += below
        cost = time.process_time() - began
        now = time.monotonic()
        self._look_at = now + max(LOOK_EVERY_S, cost / LOOK_SHARE)
        self._look_early_at = now + cost / NEW_SHARE

    def _attempt(
        self, tree: _Tree, supervisor: int, elapsed: Optional[float]
    ) -> Dict[str, Optional[float]]:
        ticks = {supervisor: self._waited_for(supervisor)}
        private = shared = 0
        grown = 0
        for pid in tree.pids:
            fields = stat(pid, self._proc)
            if not fields:
                continue
            ticks[pid] = sum(int(value) for value in fields[UTIME : _CSTIME + 1])
            tree.activity.see(pid, fields, ticks[pid])
            if pid not in tree.ticks and self._is_old(fields, elapsed):
                grown -= ticks[pid]  # found late: its past is not this interval's
            resident, of_files = self._memory(pid)
            private += resident - of_files
            shared = max(shared, of_files)
        grown += sum(ticks.values()) - sum(tree.ticks.values())
        known = bool(tree.ticks)
        tree.ticks = ticks
        cpu = None
        if known and elapsed:
            cpu = round(max(0, grown) * TICK_S / elapsed, 3)
        active = tree.activity.ago_s()
        return {"cpu": cpu, "memory_bytes": private + shared, "active_ago_s": active}

    def _is_old(self, fields: List[bytes], elapsed: Optional[float]) -> bool:
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[START]) * TICK_S
        return elapsed is None or age > elapsed + TICK_S

    def _waited_for(self, pid: int) -> int:
        fields = stat(pid, self._proc)
        return int(fields[_CSTIME - 1]) + int(fields[_CSTIME]) if fields else 0

    def _memory(self, pid: int) -> List[int]:
        """Resident bytes of a process, and those of them that files or shared memory back."""
        try:
            fd = os.open("%s/%d/statm" % (self._proc, pid), os.O_RDONLY)
        except OSError:
            return [0, 0]
        try:
            fields = os.read(fd, 256).split()
        except OSError:
            return [0, 0]
        finally:
            os.close(fd)
        return [int(value) * PAGE for value in fields[1:3]] if len(fields) > 2 else [0, 0]
