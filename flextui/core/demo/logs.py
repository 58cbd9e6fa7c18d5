"""What simulated work prints: lines that depend on its seed and the time alone."""

from __future__ import annotations

import json
import random
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from flextui.core.demo.load import Work
from flextui.core.model.docs import LogEvent
from flextui.core.ports import SearchRequest, TailRequest

CHUNK = 32 * 1024
Line = tuple[float, str, str]
"""(instant, stream, text without its end)"""
_SLOWER_AFTER = 3600.0


class Output:
    """The log of one attempt. It grows as far as it is asked for."""

    def __init__(self, node: str, attempt: str, lines: Iterator[Line]) -> None:
        self._node = node
        self._attempt = attempt
        self._lines = lines
        self._next: Line | None = next(lines, None)
        self._text: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
        self._marks: dict[str, list[tuple[int, float]]] = {"out": [], "err": []}

    def grow(self, now: float) -> None:
        """Up to that instant."""
        while self._next is not None and self._next[0] <= now:
            at, stream, text = self._next
            self._marks[stream].append((len(self._text[stream]), at))
            self._text[stream] += text.encode() + b"\n"
            self._next = next(self._lines, None)

    def say(self, at: float, stream: str, text: str) -> None:
        """A line out of turn; nothing comes after it."""
        self.grow(at)
        self._next = None
        self._marks[stream].append((len(self._text[stream]), at))
        self._text[stream] += text.encode() + b"\n"

    def last(self, lines: int) -> str:
        """The end of both streams, stderr after stdout."""
        kept = [*self._tail("out", lines), *self._tail("err", lines)]
        return "\n".join(kept[-lines:])

    def _tail(self, stream: str, lines: int) -> list[str]:
        return self._text[stream].decode().splitlines()[-lines:]

    def size(self, stream: str) -> int:
        """Bytes of a stream so far."""
        return len(self._text[stream])

    def part(self, stream: str, ask: TailRequest) -> tuple[int, int | None]:
        """Where to begin in a stream and where to stop; None: at its end. As an agent has it."""
        end = (ask.until or {}).get(stream)
        start = (ask.start or {}).get(stream)
        if start is not None:
            return start, end if ask.limit is None else min(start + ask.limit, end or sys.maxsize)
        found = []
        if ask.last_lines is not None:
            found.append(self.around(stream, end or self.size(stream), ask.last_lines, 0)[0])
        if ask.since_ms is not None:
            found.append(self.at(stream, ask.since_ms / 1000))
        begin = min(found, default=0)
        if ask.limit is not None:
            if ask.since_ms is not None and ask.last_lines is None:
                end = min(begin + ask.limit, end or sys.maxsize)
            else:
                begin = max(begin, (end or self.size(stream)) - ask.limit)
        return begin, end

    def at(self, stream: str, instant: float) -> int:
        """Where in a stream the first line begins that was said at that instant or later."""
        marks = self._marks[stream]
        n = bisect_left(marks, instant, key=lambda mark: mark[1])
        return marks[n][0] if n < len(marks) else self.size(stream)

    def around(self, stream: str, position: int, before: int, after: int) -> tuple[int, int]:
        """From where `before` lines before a position begin, to where `after` lines from it end."""
        marks = self._marks[stream]
        at = bisect_left(marks, position, key=lambda mark: mark[0])
        first, last = max(0, at - before), at + after
        begin = marks[first][0] if first < len(marks) else self.size(stream)
        return begin, marks[last][0] if last < len(marks) else self.size(stream)

    def pieces(self, stream: str, start: int, stop: int | None = None) -> Iterator[LogEvent]:
        """What there is from an offset on, in bounded pieces with the times of their lines."""
        data, marks = self._text[stream], self._marks[stream]
        stop = len(data) if stop is None else min(stop, len(data))
        while start < stop:
            end = min(stop, start + CHUNK)
            if end < stop:
                end = data.rindex(b"\n", start, end) + 1
            first = max(0, bisect_right(marks, start, key=lambda mark: mark[0]) - 1)
            last = bisect_left(marks, end, key=lambda mark: mark[0])
            text = data[start:end].decode("utf-8", "replace")
            told = self.event("data", stream, text)
            told["at"], told["to"] = start, end
            told["marks"] = [[float(offset), at * 1000] for offset, at in marks[first:last]]
            yield told
            start = end

    def hits(self, stream: str, ask: SearchRequest) -> LogEvent:
        """The lines of a stream that a search is for. Raises re.error."""
        regex = re.compile(ask.pattern, re.IGNORECASE if ask.ignore_case else 0)
        lines = self._text[stream].decode().split("\n")
        found = [
            [float(offset), at * 1000]
            for (offset, at), line in zip(self._marks[stream], lines, strict=False)
            if (regex.search(line) is not None) != ask.inverse
        ]
        told = self.event("hits", stream)
        told["hits"] = found[len(found) - ask.most :] if ask.most else []
        told["count"], told["whole"] = len(found), True
        return told

    def event(self, kind: Any, stream: str = "", text: str = "") -> LogEvent:
        """An event of this attempt's log."""
        return LogEvent(
            kind=kind, attempt=self._attempt, node=self._node, stream=stream, at=0, to=0, text=text
        )


def lines(work: Work, name: str, began: float, seed: str) -> Iterator[Line]:
    """What work says, from its start on and without end."""
    random_ = random.Random(f"{seed} says")
    at = began + 1.5
    yield at, "out", f"starting {name}"
    maker = _STYLES.get(work.style, _prepare)
    step = 0
    while True:
        pause, stream, text = maker(random_, step, at)
        at += pause * random_.uniform(0.8, 1.2)
        yield at, stream, text
        step += 1


def _train(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    if step % 60 == 59:
        return 20.0, "out", f"\x1b[32msaved\x1b[0m checkpoints/step-{step * 20:06}.pt (4.2 GiB)"
    if random_.random() < 0.004:
        scale = 2 ** random_.randrange(13, 17)
        return 1.0, "err", f"WARNING overflow in fp16, scale {scale * 2} → {scale}"
    loss = 1.7 + 8.0 / (1 + step * 0.08) + random_.gauss(0, 0.02)
    return 10.0, "out", (
        f"step {step * 20:6} loss {loss:.3f} lr {2e-4 / (1 + step / 900):.2e} "
        f"grad {abs(random_.gauss(0.8, 0.2)):.2f} {random_.uniform(38, 43):.1f}k tok/s"
    )  # fmt: skip


def _serve(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    path = random_.choice(("/v1/chat", "/v1/chat", "/v1/embed", "/healthz"))
    status = random_.choices((200, 429, 500), (95, 4, 1))[0]
    record = {
        "ts": datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S"),
        "level": "error" if status == 500 else "info", "path": path, "status": status,
        "ms": int(random_.lognormvariate(5, 0.6)), "tokens": random_.randrange(900),
    }  # fmt: skip
    return 6.0, "err" if status == 500 else "out", json.dumps(record)


def _evaluate(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    right = 0.71 + random_.gauss(0, 0.3 / (step + 2))
    return 8.0, "out", f"batch {step + 1:4}  accuracy {max(0.0, min(1.0, right)):.4f}"


def _prepare(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    if random_.random() < 0.02:
        return 4.0, "err", f"WARN shard {step:04} has {random_.randrange(1, 9)} broken records"
    return 15.0, "out", f"shard {step:04} done, {random_.uniform(0.9, 1.4):.2f} GiB"


def _notebook(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    return 90.0, "err", f"[I LabApp] Saving file at /course/lesson-{step % 7 + 1}.ipynb"


def _quiet(random_: random.Random, step: int, at: float) -> tuple[float, str, str]:
    return _SLOWER_AFTER, "out", "."


_STYLES: dict[str, Callable[[random.Random, int, float], tuple[float, str, str]]] = {
    "train": _train,
    "serve": _serve,
    "eval": _evaluate,
    "prepare": _prepare,
    "notebook": _notebook,
    "idle": _quiet,
}
