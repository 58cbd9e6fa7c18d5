"""A search as the session sees it: a child that tells what it found, read at the core's pace.

It stands among the tails: it sends as far as it has credit, and takes turns with them.
"""

from __future__ import annotations

import os
import sys

from . import attempt, fastjson, logs
from .light import signal
from .tail import Tail, at_time, last_lines, lines_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, NoReturn, Optional, Tuple

    from .loop import Loop
    from .wire import Message

SLOW = "the pattern takes too long: nothing repeated should itself repeat, as in (a+)+"
_COST, _HIT_COST = 64, 24
_PR_SET_PDEATHSIG = 1


def cost(hits: int) -> int:
    """What a message with so many hits takes of the credit, in bytes."""
    return _COST + _HIT_COST * hits


class Search:
    """One search over streams of attempts."""

    def __init__(
        self, core_fd: int, request: Message, loop: Loop, wake: Callable[[], None]
    ) -> None:
        self.sub = request["sub"]
        self.credit = int(request.get("credit") or 0)
        self.over = False
        self._loop = loop
        self._wake = wake
        self._buffer = b""
        self._ended = False
        reading, writing = os.pipe()
        agent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _in_child(writing, core_fd, request, agent)
        os.close(writing)
        os.set_blocking(reading, False)
        self._fd = reading

    def next(self) -> Optional[Message]:
        """The next message, or None when there is nothing to send or no credit."""
        if self.over or self.credit <= 0:
            return None
        line = self._line()
        if line is not None:
            found = fastjson.loads(line.decode())
            if "wrong" in found:
                return {"t": "notice", "sub": self.sub, "text": found["wrong"]}
            self.credit -= cost(len(found["hits"]))
            found.update(t="hits", sub=self.sub)
            return found  # type: ignore[no-any-return]
        if not self._ended:
            return None
        if self._pid:
            _, status = os.waitpid(self._pid, 0)
            self._pid = 0
            if os.WIFSIGNALED(status):
                slow = os.WTERMSIG(status) == signal.SIGVTALRM
                text = SLOW if slow else "the search was ended by signal %d" % os.WTERMSIG(status)
                return {"t": "notice", "sub": self.sub, "text": text}
            if status:  # nothing of it is taken for having found nothing
                return {"t": "notice", "sub": self.sub, "text": "the search failed on this node"}
        self.over = True
        return {"t": "eof", "sub": self.sub}

    def close(self) -> None:
        """End the search and let go of everything."""
        self._loop.forget(self._fd)
        os.close(self._fd)
        if self._pid:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except OSError:
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _line(self) -> Optional[bytes]:
        while b"\n" not in self._buffer and not self._ended:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                self._loop.reader(self._fd, self._readable)
                return None
            self._buffer += data
            self._ended = not data
        line, end, rest = self._buffer.partition(b"\n")
        self._buffer = rest
        return line if end else None

    def _readable(self) -> None:
        self._loop.forget(self._fd)  # until the outbox has room for what is there
        self._wake()


class Spots:
    """Lines at given positions of one stream, each with the lines around it; of given times only
    those around."""

    def __init__(self, folder: int, request: Message) -> None:
        """Takes over the descriptor `folder`."""
        self.sub = request["sub"]
        self.credit = int(request.get("credit") or 0)
        self.over = False
        self._folder = folder
        self._stream = request["stream"]
        self._around = int(request.get("context") or 0)
        self._spots = [(int(spot), 1) for spot in request.get("spots") or ()]
        for moment in request.get("times") or ():
            self._spots.append((at_time(folder, self._stream, float(moment)), 0))
        self._spots.sort()
        self._tail: Optional[Tail] = None
        self._told = 0
        self.extent: Message = {}

    def next(self) -> Optional[Message]:
        """The next message, or None when there is no credit."""
        while not self.over:
            if self._tail is None:
                if not self._spots:
                    self.over = True
                    return {"t": "eof", "sub": self.sub}
                begin, end = self._run()
                asked = {"sub": self.sub, "streams": [self._stream], "credit": self.credit,
                         "from": {self._stream: begin}, "until": {self._stream: end}}  # fmt: skip
                self._tail = Tail(os.dup(self._folder), asked)
            self._tail.credit = self.credit
            message = self._tail.next()
            self.credit = self._tail.credit
            if message is None or message["t"] != "eof":
                return message
            self._tail.close()
            self._tail = None
        return None

    def close(self) -> None:
        """Let go of all descriptors."""
        if self._tail is not None:
            self._tail.close()
        os.close(self._folder)

    def _run(self) -> Tuple[int, int]:
        """The lines around the next spot, and around those after it that they touch."""
        begin, end = self._lines(*self._spots.pop(0))
        begin = max(begin, self._told)
        while self._spots:
            first, last = self._lines(*self._spots[0])
            if first > end:
                break
            self._spots.pop(0)
            end = max(end, last)
        self._told = end
        return begin, max(begin, end)

    def _lines(self, spot: int, itself: int) -> Tuple[int, int]:
        end = lines_end(self._folder, self._stream, spot, itself + self._around)
        if not self._around:
            return spot, end
        return last_lines(self._folder, self._stream, self._around, spot), end


def _streams(core_fd: int, request: Message) -> List[Tuple[str, int, str]]:
    """(attempt, its folder, stream) of all that is to be searched and is here."""
    found = []
    for name in request.get("attempts") or ():
        if not attempt.valid_name(name):
            continue
        try:
            folder = attempt.find(core_fd, name)
        except OSError:
            continue
        wanted = request.get("streams") or logs.STREAMS
        found += [(name, folder, stream) for stream in wanted if stream in logs.STREAMS]
    return found


def _end_with(parent: int) -> None:
    """Let this process be killed when its parent dies, however that ends; where the system can't,
    it ends at its next word. Source: prctl(2)."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        os._exit(0)


def _in_child(writing: int, core_fd: int, request: Message, agent: int) -> NoReturn:
    try:
        os.setsid()
        _end_with(agent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        from .search import run
        from .spawner import close_all_but

        streams = _streams(core_fd, request)
        close_all_but(writing, *{folder for _, folder, _ in streams})
        run(writing, streams, request)
        os._exit(0)
    finally:
        os._exit(1)
