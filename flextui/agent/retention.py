"""How long the logs of acknowledged attempts stay, and what clears them away.

Bounded by age and by size, looked through in small steps so that a folder of ten thousand
attempts never holds up an answer.
"""

from __future__ import annotations

import os
import time

from . import attempt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple

    from .loop import Loop

EVERY_S = 3600.0
FIRST_S = 30.0
TOMBSTONE_S = 3600.0
"""A tombstone stays for longer than any start can be under way."""

LARGEST = 20 << 30
_SHARE = 0.05
_STEP = 20
_STEP_S = 0.05


class Retention:
    """Keeps a core's folder of old logs within its bounds."""

    def __init__(self, core_fd: int, keep_s: float) -> None:
        self._core = core_fd
        self._keep = keep_s

    def schedule(self, loop: Loop) -> None:
        """Clear now and then, a few folders at a time."""

        def run(steps: Iterator[None]) -> None:
            try:
                next(steps)
            except StopIteration:
                loop.after(EVERY_S, lambda: run(self.clear()))
            except OSError:
                loop.after(EVERY_S, lambda: run(self.clear()))
            else:
                loop.after(_STEP_S, lambda: run(steps))

        loop.after(FIRST_S, lambda: run(self.clear()))

    def clear(self) -> Iterator[None]:
        """Delete what is too old, then the oldest of what is too much. Raises OSError."""
        yield from self._tombstones()
        try:
            done = attempt.open_folder(self._core, attempt.DONE)
        except FileNotFoundError:
            return
        try:
            disk = os.fstatvfs(done)
            room = min(LARGEST, int(disk.f_blocks * disk.f_frsize * _SHARE))
            for count, (ended, name) in enumerate(self._newest_first(done)):
                if room < 0 or time.time() - ended > self._keep:
                    attempt.remove(done, name)
                else:
                    room -= attempt.size(done, name)
                    if room < 0:
                        attempt.remove(done, name)
                if count % _STEP == _STEP - 1:
                    yield
        finally:
            os.close(done)

    def _newest_first(self, done: int) -> List[Tuple[float, str]]:
        found = []
        for name in attempt.names(done):
            found.append((os.stat(name, dir_fd=done).st_mtime, name))
        found.sort(reverse=True)
        return found

    def _tombstones(self) -> Iterator[None]:
        """Delete folders of attempts that never ran."""
        for count, name in enumerate(attempt.names(self._core)):
            if attempt.never_ran(self._core, name, TOMBSTONE_S):
                attempt.remove(self._core, name)
            if count % _STEP == _STEP - 1:
                yield
