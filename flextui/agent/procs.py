"""Processes as they really are: who is alive, who descends from whom, who carries a mark.

A bare pid means nothing after a while: a process is known by boot, pid and start ticks. What
belongs to an attempt is found by descent (its supervisor is a subreaper), by the mark in its
environment, and by the session that its main process opened.
"""

from __future__ import annotations

import os

from .light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Tuple

MARK = "FLEXTUI_ATTEMPT"
"""Environment variable that every process of an attempt carries."""

CORE = "FLEXTUI_CORE"
"""And this one: two cores of one account may have attempts of the same name."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_has_children_files = os.path.exists("/proc/self/task/%d/children" % os.getpid())


class Stat:
    """The part of /proc/PID/stat that matters here."""

    __slots__ = ("parent", "session", "state", "ticks")

    def __init__(self, fields: List[bytes]) -> None:
        self.state = fields[0].decode()
        self.parent = int(fields[1])
        self.session = int(fields[3])
        self.ticks = int(fields[19])


def stat(pid: int) -> Optional[Stat]:
    """What the kernel says of a process; None when it is gone or hidden."""
    fields = _fields(pid)
    return Stat(fields) if fields else None


def _fields(pid: int) -> Optional[List[bytes]]:
    """The fields of /proc/PID/stat from the state on."""
    try:
        fd = os.open("/proc/%d/stat" % pid, os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    fields = data[data.rfind(b")") + 2 :].split(None, 20)
    return fields if len(fields) >= 20 else None


def ticks(pid: int) -> Optional[int]:
    """Start time of a process in clock ticks since boot; None when it is gone."""
    fields = _fields(pid)
    return int(fields[19]) if fields else None


def alive(pid: int, start_ticks: int) -> bool:
    """Whether that very process runs (a zombie doesn't)."""
    found = stat(pid)
    return found is not None and found.ticks == start_ticks and found.state not in "ZX"


def pids() -> List[int]:
    """All processes that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(root: int) -> List[int]:
    """All processes below `root`, parents before children, zombies included."""
    tree = None if _has_children_files else _children_by_parent()
    found: List[int] = []
    todo = [root]
    while todo:
        pid = todo.pop()
        children = _children(pid) if tree is None else tree.get(pid, [])
        found += children
        todo += children
    return found


def _children(pid: int) -> List[int]:
    found: List[int] = []
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            path = "/proc/%d/task/%s/children" % (pid, thread)
            with open(path, "rb", buffering=0) as file:
                found += [int(child) for child in (file.readall() or b"").split()]
    except OSError:
        pass  # it ended meanwhile: its children belong to the subreaper and are found there
    return found


def _children_by_parent() -> Dict[int, List[int]]:
    """The whole process tree, for kernels without CONFIG_PROC_CHILDREN."""
    tree: Dict[int, List[int]] = {}
    for pid in pids():
        found = stat(pid)
        if found:
            tree.setdefault(found.parent, []).append(pid)
    return tree


def marked(attempts: Iterable[Tuple[str, str]]) -> Dict[Tuple[str, str], List[int]]:
    """Live processes that carry the marks of one of these attempts, by attempt.

    An attempt is given as the core that started it, and its name. Processes of other users can't
    be read and are passed over.
    """
    wanted = [(one, _setting(CORE, one[0]), _setting(MARK, one[1])) for one in attempts]
    found: Dict[Tuple[str, str], List[int]] = {one: [] for one, _, _ in wanted}
    prefix = ("\0%s=" % MARK).encode()
    for pid in pids():
        try:
            with open("/proc/%d/environ" % pid, "rb", buffering=0) as file:
                environ = b"\0" + (file.readall() or b"")
        except OSError:
            continue
        if prefix in environ:
            for one, core, name in wanted:
                if core in environ and name in environ:
                    found[one].append(pid)
    return found


def _setting(variable: str, value: str) -> bytes:
    return ("\0%s=%s\0" % (variable, value)).encode()


def session(leader: int) -> List[int]:
    """Live processes of the session that `leader` opened."""
    found = []
    for pid in pids():
        seen = stat(pid)
        if seen and seen.session == leader and seen.state not in "ZX":
            found.append(pid)
    return found


def send(targets: Iterable[int], number: int) -> None:
    """Signal each process; those that are gone or foreign are passed over.

    A process that is to end is continued as well: a stopped one could not react.
    """
    for pid in targets:
        try:
            os.kill(pid, number)
            if number == signal.SIGTERM:
                os.kill(pid, signal.SIGCONT)
        except OSError:
            continue


def resident(targets: Iterable[int]) -> int:
    """Sum of resident memory in bytes: an upper bound of pss(), and cheap."""
    total = 0
    for pid in targets:
        try:
            with open("/proc/%d/statm" % pid, "rb", buffering=0) as file:
                total += int(file.read(256).split()[1]) * _PAGE
        except (OSError, IndexError):
            continue
    return total


def pss(targets: Iterable[int]) -> int:
    """Sum of proportional memory in bytes: shared pages count once over the tree."""
    total = 0
    for pid in targets:
        try:
            with open("/proc/%d/smaps_rollup" % pid, "rb") as file:
                for line in file:
                    if line.startswith(b"Pss:"):
                        total += int(line.split()[1]) * 1024
                        break
        except OSError:
            continue
    return total
