"""Following logs: from any position, at the reader's pace, with every hole told.

Text is cut at character boundaries; bytes that are no UTF-8 travel as base64. A tail sends only
what the core gave it credit for, and tails take turns, so one that floods leaves others live.
"""

from __future__ import annotations

import binascii
import os

from . import attempt, logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple

    from .wire import Message

    class Reading(Protocol):
        """What takes turns in sending log messages, within its credit."""

        sub: Any
        credit: int
        over: bool

        def next(self) -> Optional[Message]:
            """The next message, or None when there is nothing to send or no credit."""

        def close(self) -> None:
            """Let go of all descriptors."""


CHUNK = 32 << 10
"""Bytes of log in one message: at worst six times that as JSON."""

_MOST_MARKS = 512
_LINE = 64 << 10
_LOOK_BACK = 8 << 20
_LOOK_AHEAD = 1 << 20
_BLOCK = 64 << 10


class _Cursor:
    """A position in one stream."""

    def __init__(self, folder: int, stream: str, position: int, stop: Optional[int]) -> None:
        self._folder = folder
        self.stream = stream
        self.begin = position
        self.position = position
        self.stop = stop
        self._fd: Optional[int] = None
        self._first = -1

    def read(self, limit: int) -> Tuple[Optional[int], bytes]:
        """Up to `limit` bytes at the position, or where the next bytes are after a hole.

        Returns (None, b"") at the end of what is there, or asked for. The position isn't moved.
        """
        if self.stop is not None:
            limit = min(limit, self.stop - self.position)
            if limit <= 0:
                return None, b""
        hole, data = self._read(limit)
        if hole is not None and self.stop is not None:
            hole = min(hole, self.stop)
        return hole, data

    def _read(self, limit: int) -> Tuple[Optional[int], bytes]:
        data = self._pread(limit)
        while not data:
            firsts = logs.segments(self._folder, self.stream)
            at_or_before = [first for first in firsts if first <= self.position]
            newer = at_or_before and at_or_before[-1] != self._first
            if newer and not self._open(at_or_before[-1]):
                continue
            data = self._pread(limit)
            if data:
                break
            after = [first for first in firsts if first > self.position]
            return (after[0] if after else None), b""
        return None, data

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self, first: int) -> bool:
        self.close()
        try:
            name = "%s.%d" % (self.stream, first)
            self._fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._folder)
        except FileNotFoundError:
            return False  # rotation was quicker: look again
        self._first = first
        return True

    def _pread(self, limit: int) -> bytes:
        if self._fd is None or self.position < self._first:
            return b""
        return os.pread(self._fd, limit, self.position - self._first)


class Tail:
    """One subscription: streams of one attempt."""

    def __init__(self, folder: int, request: Message) -> None:
        """Takes over the descriptor `folder`."""
        self._folder = folder
        self.sub = request["sub"]
        self.credit = int(request.get("credit") or 0)
        self._follow = bool(request.get("follow"))
        streams = [name for name in request.get("streams") or logs.STREAMS if name in logs.STREAMS]
        self._cursors: List[_Cursor] = []
        self.extent: Dict[str, Dict[str, int]] = {}
        for name in streams:
            first, end = logs.extent(folder, name)
            self.extent[name] = {"first": first, "end": end}
            begin, stop = part(folder, name, request)
            self._cursors.append(_Cursor(folder, name, begin, stop))
        self.over = False

    def next(self) -> Optional[Message]:
        """The next message, or None when there is nothing to send or no credit."""
        if self.over:
            return None
        message, exhausted = self._turn(None)
        if message is not None or not exhausted:
            return message
        ended = attempt.ending(self._folder)
        if ended is not None or not self._follow or attempt.exists(self._folder, "tombstone"):
            # What was written before the end was seen is on disk now: look once more.
            message, exhausted = self._turn(ended or {})
            if message is None and exhausted:
                self.over = True
                told = {it.stream: [it.begin, it.position] for it in self._cursors}
                return {"t": "eof", "sub": self.sub, "told": told}
        return message

    def _turn(self, ended: Optional[attempt.Record]) -> Tuple[Optional[Message], bool]:
        """Ask each stream once, in turn: a message, or None and whether all are at their end."""
        exhausted = True
        for _ in range(len(self._cursors)):
            cursor = self._cursors[0]
            self._cursors.append(self._cursors.pop(0))
            message, at_end = self._advance(cursor, ended)
            if message is not None:
                return message, False
            exhausted = exhausted and at_end
        return None, exhausted

    def close(self) -> None:
        """Let go of all descriptors."""
        for cursor in self._cursors:
            cursor.close()
        os.close(self._folder)

    def _advance(
        self, cursor: _Cursor, ended: Optional[attempt.Record]
    ) -> Tuple[Optional[Message], bool]:
        """A message of one stream, or None and whether its end was reached."""
        hole, data = cursor.read(max(1, min(CHUNK, self.credit)))
        if hole is None and not data and ended is not None:
            total = int((ended.get("log") or {}).get(cursor.stream, 0))
            total = total if cursor.stop is None else min(total, cursor.stop)
            hole = total if total > cursor.position else None
        if hole is not None:
            message = {"t": "gap", "sub": self.sub, "stream": cursor.stream}
            message.update({"from": cursor.position, "to": hole})
            cursor.position = hole
            return message, False
        if not data:
            return None, True
        if self.credit <= 0:
            return None, False
        text, used = _as_text(data)
        if not used and ended is None:
            return None, True  # the rest of a character is still to come
        return self._message(cursor, data, text, used), False

    def _message(self, cursor: _Cursor, data: bytes, text: Optional[str], used: int) -> Message:
        message: Message = {"t": "log", "sub": self.sub, "stream": cursor.stream}
        message["at"] = cursor.position
        if text:
            message["text"] = text
        else:
            used = used or len(data)
            message["b64"] = binascii.b2a_base64(data[:used], newline=False).decode("ascii")
        message["marks"] = marks(self._folder, cursor.stream, cursor.position, used)
        cursor.position += used
        self.credit -= used
        return message


def _as_text(data: bytes) -> Tuple[Optional[str], int]:
    """The text, or None for what is no UTF-8, and how many bytes to send.

    A character cut short at the end stays for the next message. What is no UTF-8 ends with a line
    where it can, so that a stray byte doesn't drag the text after it along.
    """
    try:
        return data.decode(), len(data)
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end == len(data):
            return data[: error.start].decode(), error.start
        return None, data.rfind(b"\n") + 1 or len(data)


def marks(folder: int, stream: str, position: int, length: int) -> List[Tuple[int, int]]:
    """When the bytes of this range came: the last mark at or before it, and those inside."""
    try:
        with logs.Marks(folder, stream) as known:
            found = known.read(max(0, known.before(position + 1) - 1), _MOST_MARKS)
    except OSError:
        return []
    return [mark for mark in found if mark[0] < position + length]


def part(folder: int, stream: str, request: Message) -> Tuple[int, Optional[int]]:
    """Where to begin in a stream and where to stop; None: at its end.

    `from` says it by itself; else it is the last lines or what came since a time, whichever is
    more, before `until`; else all. `limit` bounds the bytes: of `from` the first, else the last.
    """
    first, end = logs.extent(folder, stream)
    until, limit = (request.get("until") or {}).get(stream), request.get("limit")
    stop = None if until is None else int(until)
    start = (request.get("from") or {}).get(stream)
    lines, since = request.get("last_lines"), request.get("since_at")
    if start is not None:
        if limit is None:
            return int(start), stop
        most = max(int(start), first) + int(limit)
        return int(start), most if stop is None else min(most, stop)
    found = []
    if lines is not None:
        found.append(last_lines(folder, stream, int(lines), stop))
    if since is not None:
        found.append(at_time(folder, stream, float(since)))
    begin = min(found) if found else 0
    if limit is not None:
        begin = max(begin, (end if stop is None else stop) - int(limit))
        if since is not None and lines is None:
            begin = found[0]
            stop = begin + int(limit) if stop is None else min(stop, begin + int(limit))
    return begin, stop


def at_time(folder: int, stream: str, at_ms: float) -> int:
    """Where the first line begins that came at this time or later, as far as marks tell."""
    first, end = logs.extent(folder, stream)
    try:
        with logs.Marks(folder, stream) as known:
            number = known.earlier(at_ms)
            if number >= len(known):
                return end
            position = max(first, known.read(number, 1)[0][0])
    except OSError:
        return first
    if position <= first:
        return position
    cursor = _Cursor(folder, stream, position - 1, None)
    data = cursor.read(_LINE)[1]
    cursor.close()
    return position + max(0, data.find(b"\n"))  # it begins here, or no line ends near


def lines_end(folder: int, stream: str, position: int, lines: int) -> int:
    """Where so many lines end that begin at a position; looks ahead 1 MiB at most."""
    cursor = _Cursor(folder, stream, position, None)
    furthest = position + _LOOK_AHEAD
    try:
        while lines > 0 and cursor.position < furthest:
            hole, data = cursor.read(_BLOCK)
            if not data:
                break
            at = 0
            while lines > 0 and 0 <= at < len(data):
                at = data.find(b"\n", at) + 1 or -1
                lines -= at > 0
            cursor.position += at if lines == 0 else len(data)
        return cursor.position
    finally:
        cursor.close()


def last_lines(folder: int, stream: str, lines: int, before: Optional[int] = None) -> int:
    """Where the last `lines` lines begin, or those before a position; looks back 8 MiB at most,
    and over no hole."""
    end = logs.extent(folder, stream)[1]
    if before is not None:
        end = min(end, before)
    oldest = max(0, end - _LOOK_BACK)
    wanted = lines
    at_the_end = True
    for first in reversed(logs.segments(folder, stream)):
        if first >= end:
            continue
        try:
            fd = os.open("%s.%d" % (stream, first), os.O_RDONLY, dir_fd=folder)
        except FileNotFoundError:
            return end
        try:
            if not at_the_end and first + os.fstat(fd).st_size < end:
                return end
            while end > max(first, oldest) and wanted > 0:
                begin = max(first, oldest, end - _BLOCK)
                data = os.pread(fd, end - begin, begin - first)
                if at_the_end and data.endswith(b"\n"):
                    wanted += 1
                at_the_end = False
                at = len(data)
                while wanted > 0 and at >= 0:
                    at = data.rfind(b"\n", 0, at)
                    wanted -= at >= 0
                if wanted == 0:
                    return begin + at + 1
                end = begin
        finally:
            os.close(fd)
        if end <= oldest or wanted <= 0:
            break
    return end


class Tails:
    """All subscriptions of a session; gives log messages in turn."""

    QUICK_S = 0.05
    SLOW_S = 0.4

    def __init__(self, later: Callable[[float], None]) -> None:
        """`later(seconds)` has next() asked again after that time."""
        self._tails: List[Reading] = []
        self._later = later
        self._pause = self.QUICK_S
        self._waiting = False

    def add(self, tail: Reading) -> None:
        """Begin a subscription; one of the same name is replaced."""
        self.remove(tail.sub)
        self._tails.append(tail)
        self._pause = self.QUICK_S

    def remove(self, sub: Any) -> None:
        """End a subscription."""
        for tail in [tail for tail in self._tails if tail.sub == sub]:
            self._tails.remove(tail)
            tail.close()

    def credit(self, sub: Any, amount: int) -> None:
        """Let a subscription send more bytes."""
        for tail in self._tails:
            if tail.sub == sub:
                tail.credit += amount

    def next(self) -> Optional[Message]:
        """The next log message of any subscription, in turn; None when there is none."""
        for tail in list(self._tails):
            message = tail.next()
            if message is None:
                continue
            self._tails.remove(tail)
            if tail.over:
                tail.close()
            else:
                self._tails.append(tail)
            self._pause = self.QUICK_S
            return message
        self._look_again()
        return None

    def wake(self) -> None:
        """The pause that next() asked for is over."""
        self._waiting = False

    def _look_again(self) -> None:
        if self._tails and not self._waiting:
            self._waiting = True
            self._later(self._pause)
            self._pause = min(self.SLOW_S, self._pause * 2)
