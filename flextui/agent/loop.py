"""The agent's event loop: descriptors and timers on one selector.

asyncio would cost 8 MB and a tenth of a second on every node; the agent needs only this.
"""

from __future__ import annotations

import select
import time

from .light import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Tuple

    Callback = Callable[[], None]

# A head of any system reads its copies of logs by this, and epoll is Linux's alone.
_READ = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITE = select.POLLOUT | select.POLLHUP | select.POLLERR


class Timer:
    """A callback that is due at a point of the monotonic clock; may be cancelled."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callback) -> None:
        self.due = due
        self.call = call

    def cancel(self) -> None:
        """Make sure that it does nothing when it falls due."""
        self.call = _nothing


def _nothing() -> None:
    """What a cancelled timer does."""


class Loop:
    """Runs callbacks when descriptors are ready and when timers fall due."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._timers: List[Tuple[float, int, Timer]] = []
        self._serial = 0
        self._calls: Dict[int, Dict[int, Callback]] = {}
        self._stopped = False

    def reader(self, fd: int, call: Callback) -> None:
        """Call when `fd` can be read, or its other end is gone."""
        self._set(fd, _READ, call)

    def writer(self, fd: int, call: Callback) -> None:
        """Call when `fd` can be written, or its other end is gone."""
        self._set(fd, _WRITE, call)

    def no_writer(self, fd: int) -> None:
        """Stop waiting for `fd` to become writable."""
        calls = self._calls.get(fd)
        if calls and calls.pop(_WRITE, None):
            self._apply(fd, calls, True)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`; call before closing it."""
        if self._calls.pop(fd, None):
            self._poll.unregister(fd)

    def after(self, seconds: float, call: Callback) -> Timer:
        """Call once, `seconds` from now."""
        timer = Timer(time.monotonic() + seconds, call)
        self._serial += 1
        heappush(self._timers, (timer.due, self._serial, timer))
        return timer

    def every(self, seconds: float, call: Callback) -> None:
        """Call each `seconds`, the first time after one interval."""

        def again() -> None:
            self.after(seconds, again)
            call()

        self.after(seconds, again)

    def stop(self) -> None:
        """Let run() return after the current callbacks."""
        self._stopped = True

    def run(self) -> None:
        """Serve until stop()."""
        while not self._stopped:
            timeout = None
            if self._timers:
                timeout = max(0.0, 1000.0 * (self._timers[0][0] - time.monotonic()))
            for fd, events in self._poll.poll(timeout):
                for mask, call in list(self._calls.get(fd, {}).items()):
                    if events & mask:
                        call()
            self._run_timers()

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heappop(self._timers)[2].call()

    def _set(self, fd: int, event: int, call: Callback) -> None:
        known = fd in self._calls
        calls = self._calls.setdefault(fd, {})
        calls[event] = call
        self._apply(fd, calls, known)

    def _apply(self, fd: int, calls: Dict[int, Callback], known: bool) -> None:
        mask = 0
        for event in calls:
            mask |= event
        if not mask:
            del self._calls[fd]
            self._poll.unregister(fd)
        elif known:
            self._poll.modify(fd, mask)
        else:
            self._poll.register(fd, mask)
