"""Following a selection: what is printed gathers here until the screen takes it.

Nobody who reads slowly loses a line: over the bound nothing more is taken from the core, and the
nodes keep it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from flextui.core.client import Client
from flextui.core.commands import CommandError, LogRequest
from flextui.core.logbook.lines import Cutter, Key, Line
from flextui.core.logbook.selection import begins

BOUND = 20_000
"""Lines that wait to be taken."""


class Live:
    """Follows requests, side by side."""

    def __init__(self, cutter: Callable[[Key, str], Cutter], came: Callable[[], None]) -> None:
        """`cutter(key, node)` gives a stream's cutter; `came` is called when something came."""
        self._cutter = cutter
        self._came = came
        self._lines: list[Line] = []
        self._room = asyncio.Event()
        self._room.set()
        self.left = 0
        """Requests that may still bring something."""

    @property
    def waiting(self) -> int:
        """Lines that wait to be taken."""
        return len(self._lines)

    @property
    def full(self) -> bool:
        """Whether there may be more than what waits here."""
        return not self._room.is_set()

    def take(self) -> list[Line]:
        """What has come since the last time."""
        lines, self._lines = self._lines, []
        self._room.set()
        return lines

    async def run(
        self, client: Client, requests: Iterable[LogRequest], read: Mapping[Key, int]
    ) -> None:
        """Until all that is followed has ended. `read`: how far each stream is read already.
        Raises ConnectionError."""
        asked = [replace(it, pieces=begins(it, read)) for it in requests]
        self.left = len(asked)
        try:
            async with asyncio.TaskGroup() as group:
                for request in asked:
                    group.create_task(self._follow(client, request))
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def _follow(self, client: Client, request: LogRequest) -> None:
        cutters: dict[Key, Cutter] = {}
        try:
            async with contextlib.aclosing(client.logs(request)) as events:  # type: ignore[type-var]
                async for event in events:
                    key = (event["attempt"], event["stream"])
                    if event["kind"] == "eof":
                        for of, cutter in cutters.items():
                            if of[0] == event["attempt"]:
                                self._put(cutter.flush())
                        continue
                    if key not in cutters:
                        cutters[key] = self._cutter(key, event["node"])
                    self._put(cutters[key].feed(event))
                    await self._room.wait()
        except CommandError as error:
            self._put([Line(0.0, "", "note", 0, f"── {error} ──")])
        finally:
            self.left -= 1
            self._came()

    def _put(self, lines: list[Line]) -> None:
        self._lines += lines
        if len(self._lines) > BOUND:
            self._room.clear()
        self._came()
