"""Log events to stdout and stderr: raw bytes into a pipe, harmless text onto a terminal.

What a job printed on both of its streams comes in the order in which it came, a line at a time.

A reader that pauses (`less`) must not stop this process from hearing the core or Ctrl-C, so
nothing is written before the descriptor takes it.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import select
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from flextui.cli import output
from flextui.cli.text import LogText, clean
from flextui.core.logbook.lines import raw
from flextui.core.model.docs import LogEvent

_CHUNK = select.PIPE_BUF
_LONGEST_LINE = 64 * 1024
"""A line of one of several tasks is held back until it is whole, up to so many bytes."""


async def copy_logs(
    events: AsyncIterator[LogEvent], *, split_err: bool = False, several: bool = False
) -> None:
    """Write all that comes, until it ends.

    With `split_err` the job's stderr goes to stderr, else all is data. With `several` tasks, lines
    stay whole, and on a terminal each says whose it is. Raises StdoutClosed.
    """
    out = _Sink(sys.stdout, several=several)
    err = _Sink(sys.stderr, several=several) if split_err else out
    async for event in events:
        if event["kind"] == "data":
            await (err if event["stream"] == "err" else out).feed(event)
        elif event["kind"] == "eof":
            await (err if event["stream"] == "err" else out).flush(event["attempt"])
        else:
            output.say(f"flextui: {_remark(event)}")
    for sink in {id(out): out, id(err): err}.values():
        await sink.flush()


async def copy_merged(streams: Sequence[AsyncIterator[LogEvent]], last: int | None) -> None:
    """Write the streams of an attempt as far as they go now, in the order of time.

    `last`: only so many lines, the last. Raises StdoutClosed.
    """
    out = _Sink(sys.stdout, several=False)
    kept: deque[tuple[LogEvent, bytes]] = deque(maxlen=last)
    said: set[str] = set()
    async for event, data in _in_order([_runs(it) for it in streams]):
        if event["kind"] != "data":
            remark = _remark(event)
            if remark not in said:
                output.say(f"flextui: {remark}")
                said.add(remark)
        elif last is None:
            await out.write(event, data)
        else:
            kept.extend((event, line) for line in re.findall(rb"[^\n]*\n|[^\n]+", data))
    for event, line in kept:
        await out.write(event, line)
    await out.flush()


async def _in_order(runs: Sequence[AsyncIterator[_Run]]) -> AsyncIterator[tuple[LogEvent, bytes]]:
    """What came first goes first; what came at once isn't torn apart."""
    heads = [await anext(it, None) for it in runs]
    here = 0
    while waiting := [(it.at, n != here, n) for n, it in enumerate(heads) if it is not None]:
        here = min(waiting)[2]
        run = heads[here]
        assert run is not None
        yield run.event, run.data
        heads[here] = await anext(runs[here], None)


class _Run(NamedTuple):
    """Whole lines of one stream that came at a time; or a remark, without data."""

    at: float
    event: LogEvent
    data: bytes = b""


async def _runs(events: AsyncIterator[LogEvent]) -> AsyncIterator[_Run]:
    """One stream, cut before the lines that another mark dates. A line is as old as its first
    byte, and one that is too long to be held back comes in pieces of that age."""
    rest, pos, at = b"", 0, 0.0
    marks: deque[list[float]] = deque()
    last: LogEvent | None = None
    torn = False
    async for event in events:
        if event["kind"] == "data":
            marks.extend(event.get("marks", ()))
            pos, data = event["at"] - len(rest), rest + raw(event)
            end = data.rfind(b"\n") + 1
            if not end and len(data) > _LONGEST_LINE:
                end = len(data)
            start, rest, last = 0, data[end:], event
            if torn and end:
                start = data.find(b"\n", 0, end) + 1 or end
                yield _Run(at, event, data[:start])
            torn = not data.endswith(b"\n", 0, end) if end else torn
            while start < end:
                while marks and marks[0][0] <= pos + start:
                    at = marks.popleft()[1]
                stop = data.find(b"\n", int(marks[0][0]) - pos - 1, end) + 1 if marks else end
                stop = stop or end
                yield _Run(at, event, data[start:stop])
                start = stop
            pos += end
        elif event["kind"] != "eof":
            yield _Run(at, event)
    if rest and last is not None:
        for place, came in marks:
            at = came if place <= pos else at
        yield _Run(at, last, rest)


def _remark(event: LogEvent) -> str:
    if event["kind"] == "notice":
        return event["text"]
    lost = event["to"] - event["at"]
    return f"gap: {lost} bytes of {event['stream']} of {event['attempt']} were dropped by rotation"


@dataclass(slots=True)
class _Source:
    """One stream of one attempt, and what of it waits for its rest."""

    label: str
    text: LogText
    decode: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    line: bytearray = field(default_factory=bytearray)


class _Sink:
    """Where bytes go: stdout or stderr."""

    def __init__(self, stream: IO[str] | None, *, several: bool) -> None:
        if stream is None:
            raise output.StdoutClosed
        self._fd = stream.fileno()
        self._terminal = output.is_terminal(stream)
        self._colour = output.colour_on(stream)
        self._several = several
        self._sources: dict[tuple[str, str], _Source] = {}

    async def feed(self, event: LogEvent) -> None:
        """Write a piece, as far as it can be written yet."""
        await self.write(event, raw(event))

    async def write(self, event: LogEvent, data: bytes) -> None:
        """The same of bytes that are a part of what the event brought."""
        source = self._source(event)
        if self._several:
            source.line += data
            end = source.line.rfind(b"\n") + 1
            if not end and len(source.line) > _LONGEST_LINE:
                end = len(source.line)
            data = bytes(source.line[:end])
            del source.line[:end]
        await self._write(source, data)

    async def flush(self, attempt: str | None = None) -> None:
        """Write what is held back, of one attempt or of all, and end its colours."""
        for key in [it for it in self._sources if attempt in (None, it[0])]:
            source = self._sources.pop(key)
            rest = bytes(source.line)
            if self._several and rest and not rest.endswith(b"\n"):
                rest += b"\n"
            await self._write(source, rest)
            if self._terminal:
                left = source.text.feed(source.decode.decode(b"", True)) + source.text.finish()
                await write_all(self._fd, left.encode("utf-8", "replace"))

    def _source(self, event: LogEvent) -> _Source:
        key = (event["attempt"], event["stream"])
        if key not in self._sources:
            task = event["attempt"].split(".")[1:2]
            label = clean(f"{''.join(task)} {event['node']} ")
            self._sources[key] = _Source(label, LogText(colour=self._colour))
        return self._sources[key]

    async def _write(self, source: _Source, data: bytes) -> None:
        if self._terminal and data:
            text = source.text.feed(source.decode.decode(data))
            if self._several:
                text = _labelled(text, source.label)
            data = text.encode("utf-8", "replace")
        await write_all(self._fd, data)


def _labelled(text: str, label: str) -> str:
    """Each line with whose it is; a line begun anew by a carriage return becomes one of its own."""
    lines = text.replace("\r", "\n").splitlines(keepends=True)
    return "".join(label + line for line in lines)


async def write_all(fd: int, data: bytes) -> None:
    """Write as the descriptor takes it. Raises StdoutClosed when its reader left."""
    waits = _can_wait(fd)
    view = memoryview(data)
    while view:
        if waits:
            await _writable(fd)
        try:
            written = os.write(fd, view[:_CHUNK] if waits else view)
        except BlockingIOError:
            await _writable(fd)
            continue
        except BrokenPipeError as error:
            raise output.StdoutClosed from error
        except OSError as error:
            raise output.Failure(output.FAILED, f"can't write: {error.strerror}") from error
        view = view[written:]


def _can_wait(fd: int) -> bool:
    """False for a regular file, which is always ready and can't be polled."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_writer(fd, lambda: None)
    except OSError:
        return False
    loop.remove_writer(fd)
    return True


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(fd)
