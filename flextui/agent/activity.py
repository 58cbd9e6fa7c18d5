"""When somebody last worked with an attempt by hand: at a terminal of it, or in a notebook.

An attempt that holds a GPU and leaves it idle may still be in use: somebody thinks. What shows it
is seen beside the measurement of its processes and costs next to nothing: which terminal each has
and what time it took are in what was read already.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set, Tuple

BUSY = 0.05
"""Of one core: a kernel that waits for its user takes less."""
WINDOW_S = 5.0
"""Over so long at least: the kernel counts processor time in hundredths of a second."""
YOUNG_S = 5.0
"""A younger process may not have come to its exec yet: its command line is looked at again."""

_COMMAND_BOUND = 16384
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PTS = range(136, 144)
"""Majors of pseudo-terminals."""

# Places in /proc/PID/stat, counted from the state.
_SESSION, _TTY, _START = 3, 4, 19


class _Kernel:
    """A notebook's kernel: when it was last busy, and since when its time is counted."""

    __slots__ = ("active", "since", "ticks")

    def __init__(self, now: float) -> None:
        self.active = now  # it was just started, or nobody knows how long it has waited
        self.since = now
        self.ticks: Optional[int] = None


class Activity:
    """Of one attempt: `see` each of its processes, then ask `ago_s`, and so each time."""

    def __init__(self, proc: str = "/proc", terminals: str = "/dev/pts") -> None:
        self._proc = proc
        self._folder = terminals
        self._verdicts: Dict[int, Tuple[bytes, bool]] = {}
        self._kernels: Dict[int, _Kernel] = {}
        self._terminals: Set[int] = set()
        self._seen: List[Tuple[int, int, int]] = []

    def see(self, pid: int, fields: List[bytes], ticks: int) -> None:
        """A process of the attempt: its fields of /proc/PID/stat, the time it took so far."""
        terminal = int(fields[_TTY])
        if terminal:
            self._terminals.add(terminal)
        start, kernel = self._verdicts.get(pid, (b"", False))
        if start != fields[_START]:
            kernel = self._is_kernel(pid, fields[_START])
        self._seen.append((pid, int(fields[_SESSION]), ticks))
        if not kernel:
            self._kernels.pop(pid, None)
        elif pid not in self._kernels:
            self._kernels[pid] = _Kernel(time.monotonic())

    def ago_s(self) -> Optional[float]:
        """Seconds since the last sign of somebody; None with neither terminal nor kernel."""
        signs = [self._silence(terminal) for terminal in self._terminals]
        self._terminals.clear()
        if self._kernels:
            signs += self._idleness()
        pids = {pid for pid, _, _ in self._seen}
        if self._verdicts.keys() - pids:
            self._verdicts = {pid: it for pid, it in self._verdicts.items() if pid in pids}
        self._seen = []
        told = [sign for sign in signs if sign is not None]
        return round(min(told), 1) if told else None

    def _is_kernel(self, pid: int, start: bytes) -> bool:
        """By its command line, which is kept in mind once the process has come to its exec."""
        try:
            with open("%s/%d/cmdline" % (self._proc, pid), "rb", 0) as file:
                found = _runs_kernel(file.read(_COMMAND_BOUND) or b"")
        except OSError:
            return False
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(start) * _TICK_S
        if found or age > YOUNG_S:
            self._verdicts[pid] = (start, found)
        return found

    def _silence(self, terminal: int) -> Optional[float]:
        """How long a terminal has been silent; the kernel says it to some seconds."""
        major, minor = terminal >> 8 & 0xFFF, terminal & 0xFF | terminal >> 12 & 0xFFF00
        if major not in _PTS:
            return None
        number = (major - _PTS[0] << 8) + minor
        try:
            found = os.stat("%s/%d" % (self._folder, number))
        except OSError:
            return None
        return max(0.0, time.time() - max(found.st_atime, found.st_mtime))

    def _idleness(self) -> List[Optional[float]]:
        """How long each kernel has been idle, with all that it started in its session."""
        now = time.monotonic()
        own = {pid: ticks for pid, _, ticks in self._seen}
        sessions: Dict[int, int] = {}
        for _, session, ticks in self._seen:
            sessions[session] = sessions.get(session, 0) + ticks
        self._kernels = {pid: it for pid, it in self._kernels.items() if pid in own}
        for pid, kernel in self._kernels.items():
            ticks = sessions.get(pid, own[pid])
            if kernel.ticks is None:
                kernel.ticks = ticks
            elapsed = now - kernel.since
            if elapsed >= WINDOW_S:
                if (ticks - kernel.ticks) * _TICK_S > BUSY * elapsed:
                    kernel.active = now
                kernel.since, kernel.ticks = now, ticks
        return [now - kernel.active for kernel in self._kernels.values()]


def _runs_kernel(command: bytes) -> bool:
    """Whether a command line is that of a notebook's kernel. Each is given its connection file."""
    if b"ipykernel" in command or b"IRkernel" in command:
        return True
    names = [word.rpartition(b"/")[2].rpartition(b"=")[2] for word in command.split(b"\0")]
    return any(name.startswith(b"kernel-") and name.endswith(b".json") for name in names)
