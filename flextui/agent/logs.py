"""Writing what a workload prints: in segments, within a bound, never in its way.

A position in a log is (attempt, stream, bytes since the start). A segment is named by the position
of its first byte, so what rotation dropped, or a full disk refused, shows as a hole between names
and sizes and needs no record of its own. A disk that refuses costs bytes, never the workload.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

STREAMS = ("out", "err")
MARK_SIZE = 16
"""Bytes of an entry of STREAM.marks: a position and the Unix time in ms at which its byte came,
each as 8 bytes, lowest first."""

BOUND = 256 << 20
"""Bytes that are kept of an attempt's output, both streams together, if the core doesn't say."""

LEAST_BOUND = 64 << 10
_LARGEST_SEGMENT = 16 << 20
_LAST_BYTES = 1024
_LAST_LINES = 5
_RETRY_S = 1.0
_MARK_BYTES = 24
_MARK_S = (0.02, 0.25)
_COARSE_S = (1.0, 10.0)
_MANY_MARKS = 16 << 20
_COARSE_BYTES = 4096
_MARKS_TRIM = 256 << 10


def segments(folder: int, stream: str) -> List[int]:
    """First positions of the segments that are there, ascending."""
    prefix = stream + "."
    found = []
    for name in os.listdir(folder):
        if name.startswith(prefix) and name[len(prefix) :].isdigit():
            found.append(int(name[len(prefix) :]))
    found.sort()
    return found


def extent(folder: int, stream: str) -> Tuple[int, int]:
    """Positions of the first byte that is there and of the end, as far as segments tell."""
    found = segments(folder, stream)
    if not found:
        return 0, 0
    return found[0], found[-1] + _size(folder, "%s.%d" % (stream, found[-1]))


def sizes(folder: int) -> Dict[str, int]:
    """End position of each stream, as far as segments tell."""
    return {stream: extent(folder, stream)[1] for stream in STREAMS}


def _size(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder).st_size
    except OSError:
        return 0


def read_mark(data: bytes, at: int = 0) -> Tuple[int, int]:
    """The position and the time in ms of a mark."""
    return (
        int.from_bytes(data[at : at + 8], "little"),
        int.from_bytes(data[at + 8 : at + 16], "little"),
    )


class Marks:
    """When the bytes of a stream came, as it lies on disk. The constructor raises OSError."""

    def __init__(self, folder: int, stream: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW
        self._fd = os.open(stream + ".marks", flags, dir_fd=folder)
        self._count = os.fstat(self._fd).st_size // MARK_SIZE

    def __enter__(self) -> Marks:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def __len__(self) -> int:
        return self._count

    def read(self, at: int, count: int) -> List[Tuple[int, int]]:
        """Up to `count` marks from number `at` on."""
        data = os.pread(self._fd, count * MARK_SIZE, at * MARK_SIZE)
        return [read_mark(data, i) for i in range(0, len(data) - MARK_SIZE + 1, MARK_SIZE)]

    def before(self, position: int) -> int:
        """How many marks are of bytes before this position."""
        return self._bisect(0, position)

    def earlier(self, at_ms: float) -> int:
        """How many marks are of a time before this one."""
        return self._bisect(1, at_ms)

    def copy(self, to: int, skipped: int) -> int:
        """Copy all but the first `skipped` marks; their size in bytes. Raises OSError."""
        at = skipped * MARK_SIZE
        while True:
            data = os.pread(self._fd, 64 << 10, at)
            if not data:
                return at - skipped * MARK_SIZE
            at += os.write(to, data)

    def _bisect(self, field: int, value: float) -> int:
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self.read(middle, 1)[0][field] < value:
                low = middle + 1
            else:
                high = middle
        return low


class _Stream:
    """One stream's segments and marks."""

    def __init__(self, folder: int, name: str) -> None:
        self.folder = folder
        self.name = name
        self.end = 0
        self.closed: List[Tuple[int, int]] = []
        self.fd: Optional[int] = None
        self.first = 0
        self.size = 0
        self._marks: Optional[int] = None
        self._marks_size = 0
        self._marked_at = 0.0
        self._marked_end = 0

    @property
    def kept(self) -> int:
        """Bytes of this stream on disk."""
        return self.size + sum(size for _, size in self.closed)

    def open(self, first: int) -> None:
        """Begin a segment. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        self.fd = os.open("%s.%d" % (self.name, first), flags, 0o600, dir_fd=self.folder)
        self.first, self.size = first, 0

    def close(self) -> None:
        """End the segment; one without a byte is removed."""
        if self.fd is None:
            return
        os.close(self.fd)
        self.fd = None
        if self.size:
            self.closed.append((self.first, self.size))
        else:
            self._unlink(self.first)
        self.size = 0

    def drop_oldest(self) -> None:
        """Remove the oldest ended segment, and the marks before what is left."""
        self._unlink(self.closed.pop(0)[0])
        self._trim_marks(self.closed[0][0] if self.closed else self.end)

    def mark(self, position: int, now: float) -> None:
        """Remember when this byte came, unless the last mark is near enough.

        Lines of several attempts, and of both streams, are put in order by these: a line a moment
        gets a mark of its own, a few bytes one each quarter of a second, a flood one each 20 ms,
        and where there are a million of them only one a second.
        """
        passed = now - self._marked_at
        least, most, size = _MARK_S[0], _MARK_S[1], _MARK_BYTES
        if self._marks_size > _MANY_MARKS:
            (least, most), size = _COARSE_S, _COARSE_BYTES
        near = self.end - self._marked_end < size
        if 0 <= passed < most and (passed < least or near):
            return
        try:
            if self._marks is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
                self._marks = os.open(self.name + ".marks", flags, 0o600, dir_fd=self.folder)
            entry = position.to_bytes(8, "little") + int(now * 1000).to_bytes(8, "little")
            if os.write(self._marks, entry) != len(entry):
                self._align_marks()
            self._marks_size += MARK_SIZE
        except OSError:
            return  # a full disk: time is less than text
        self._marked_at, self._marked_end = now, self.end

    def _align_marks(self) -> None:
        assert self._marks is not None
        size = os.fstat(self._marks).st_size
        os.ftruncate(self._marks, size - size % MARK_SIZE)

    def _trim_marks(self, first: int) -> None:
        """Rewrite the marks without those of dropped segments, once they are half of them."""
        if self._marks is None or self._marks_size < _MARKS_TRIM:
            return
        name = self.name + ".marks"
        try:
            with Marks(self.folder, self.name) as marks:
                gone = marks.before(first)
                if gone < len(marks) // 2:
                    return
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
                new = os.open(name + ".new", flags, 0o600, dir_fd=self.folder)
                kept = marks.copy(new, gone)
            os.rename(name + ".new", name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except OSError:
            return
        os.close(self._marks)
        self._marks, self._marks_size = new, kept

    def _unlink(self, first: int) -> None:
        try:
            os.unlink("%s.%d" % (self.name, first), dir_fd=self.folder)
        except OSError:
            pass


class Logs:
    """Both streams of one attempt under one bound in bytes."""

    def __init__(self, folder: int, bound: int) -> None:
        self._bound = max(bound, LEAST_BOUND)
        self._segment = min(_LARGEST_SEGMENT, self._bound // 16)
        self._streams = {name: _Stream(folder, name) for name in STREAMS}
        self._last = dict.fromkeys(STREAMS, b"")
        self._refused_at: Optional[float] = None

    def write(self, name: str, data: memoryview) -> None:
        """Append; never raises. What the disk refuses becomes a hole."""
        stream = self._streams[name]
        begin = stream.end
        stream.end += len(data)
        self._last[name] = (self._last[name] + bytes(data[-_LAST_BYTES:]))[-_LAST_BYTES:]
        if self._refused_at is not None and time.monotonic() - self._refused_at < _RETRY_S:
            stream.close()
            return
        try:
            self._append(stream, begin, data)
            self._refused_at = None
        except OSError:
            self._refused_at = time.monotonic()
            stream.close()
            return
        stream.mark(begin, time.time())

    def ends(self) -> Dict[str, int]:
        """Bytes that each stream has carried, kept or not."""
        return {name: stream.end for name, stream in self._streams.items()}

    def last_lines(self) -> str:
        """The last few lines of stderr, or of stdout where there is none, for those who ask why."""
        data = self._last["err"].strip() or self._last["out"].strip()
        return "\n".join(data.decode("utf-8", "replace").splitlines()[-_LAST_LINES:])

    def _append(self, stream: _Stream, position: int, data: memoryview) -> None:
        while data:
            if stream.fd is not None and stream.size >= self._segment:
                stream.close()
            if stream.fd is None:
                self._make_room()
                stream.open(position)
            assert stream.fd is not None
            written = os.write(stream.fd, data[: self._segment - stream.size])
            stream.size += written
            position += written
            data = data[written:]

    def _make_room(self) -> None:
        """Drop ended segments, of the larger stream first, until one more fits the bound."""
        while sum(s.kept for s in self._streams.values()) + self._segment > self._bound:
            full = [stream for stream in self._streams.values() if stream.closed]
            if not full:
                return
            max(full, key=lambda stream: stream.kept).drop_oldest()
