"""One attempt's copy on the core's own disk: laid out as on a node, bounded, never rewritten.

Segments are named by the position of their first byte, so what was never copied shows as a gap
like what rotation dropped. The newest bytes are kept.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path

from flextui.core.model.docs import LogEvent

SEGMENT = 1 << 20
STREAMS = ("out", "err")
_WHOLE, _NONCE = "whole", "nonce"
_MARK = 16
"""Bytes of one mark: a position and a time."""


class CopyFile:
    """The folder of one attempt's copy. Every method but the constructor may raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def whole(self) -> bool:
        """Whether the end of the log is in it."""
        return (self._folder / _WHOLE).exists()

    def prepare(self, nonce: str) -> dict[str, int]:
        """Make it, empty unless it is of the same attempt; where each stream goes on."""
        try:
            same = (self._folder / _NONCE).read_text() == nonce
        except OSError:
            same = False
        if not same:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700, parents=True)
            (self._folder / _NONCE).write_text(nonce)
        return {stream: self._end(stream) for stream in STREAMS}

    def append(self, events: Iterable[LogEvent], data: Iterable[bytes], *, bound: int) -> None:
        """Add what was read, and drop the oldest over the bound in bytes."""
        for event, piece in zip(events, data, strict=True):
            self._write(event["stream"], event["at"], piece)
            self._mark(event["stream"], event.get("marks") or ())
        dropped = False
        while (segments := self._segments()) and sum(it[2] for it in segments) > bound:
            if len(segments) == 1:
                break
            dropped = True
            stream = max(STREAMS, key=lambda name: sum(it[2] for it in segments if it[0] == name))
            first = next(it[1] for it in segments if it[0] == stream)
            (self._folder / f"{stream}.{first}").unlink()
        if dropped:
            for stream in STREAMS:
                self._trim_marks(stream)

    def finish(self) -> None:
        """Its end is in it."""
        (self._folder / _WHOLE).touch(mode=0o600)

    def size(self) -> int:
        """Bytes that it takes."""
        return sum(it.stat().st_size for it in self._folder.iterdir())

    def _segments(self) -> list[tuple[str, int, int]]:
        """(stream, first position, bytes), ascending."""
        found = []
        for path in self._folder.iterdir():
            stream, _, first = path.name.partition(".")
            if stream in STREAMS and first.isdigit():
                found.append((stream, int(first), path.stat().st_size))
        return sorted(found)

    def _end(self, stream: str) -> int:
        return max(
            (first + size for it, first, size in self._segments() if it == stream), default=0
        )

    def _write(self, stream: str, at: int, data: bytes) -> None:
        mine = [it for it in self._segments() if it[0] == stream]
        name = f"{stream}.{at}"
        if mine and mine[-1][1] + mine[-1][2] == at and mine[-1][2] < SEGMENT:
            name = f"{stream}.{mine[-1][1]}"
        fd = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with open(fd, "wb") as file:
            file.write(data)

    def _mark(self, stream: str, marks: Sequence[Sequence[float]]) -> None:
        path = self._folder / f"{stream}.marks"
        last = -1
        if path.exists() and (size := path.stat().st_size) >= _MARK:
            with path.open("rb") as file:
                file.seek(size - _MARK)
                last = int.from_bytes(file.read(8), "little")
        fresh = [(int(position), int(at)) for position, at in marks if position > last]
        with path.open("ab") as file:
            for position, at in fresh:
                file.write(position.to_bytes(8, "little") + max(0, at).to_bytes(8, "little"))

    def _trim_marks(self, stream: str) -> None:
        """Forget the marks of dropped bytes, but the last before what is there."""
        path = self._folder / f"{stream}.marks"
        first = min((it[1] for it in self._segments() if it[0] == stream), default=None)
        if first is None or not path.exists():
            return
        data = path.read_bytes()
        marked = range(0, len(data) - _MARK + 1, _MARK)
        after = bisect_right(
            marked, first, key=lambda at: int.from_bytes(data[at : at + 8], "little")
        )
        fresh = path.with_suffix(".new")
        fresh.write_bytes(data[max(0, after - 1) * _MARK :])
        fresh.replace(path)
