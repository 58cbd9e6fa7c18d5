"""Numbers that several test processes must not use at once: ports, subnets.

A claim is a lock on a file, so it ends with the process that holds it, however that ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from typing import IO

from tests.bench.scratch import scratch


class Claim:
    """One claimed number, until ``release``."""

    def __init__(self, number: int, lock: IO[str]) -> None:
        self.number = number
        self._lock = lock

    def release(self) -> None:
        self._lock.close()


def claim(kind: str, numbers: Iterable[int], usable: Callable[[int], bool]) -> Claim:
    """The first of the numbers that nobody has claimed and that is usable."""
    folder = scratch("claims", kind)
    for number in numbers:
        lock = (folder / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if usable(number):
            return Claim(number, lock)
        lock.close()
    raise RuntimeError(f"no free {kind} left on this machine")
