"""What a place asks of the core again and again: not too often, and never twice at a time.

Some answers take the core a while. Whoever asked anew meanwhile and gave the first question up
would never hear an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flextui.core.commands import Command, CommandError

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from flextui.app import FlextuiApp

Answer = dict[str, Any]
ANEW_S = 1.0
"""After a question that failed."""


class Inquiry:
    """The questions of one place; they end with it."""

    def __init__(self, app: FlextuiApp, owner: DOMNode) -> None:
        self._app = app
        self._owner = owner
        self._last: dict[str, tuple[Command, float]] = {}
        """Kind → what was asked last, and from when on it may be asked again."""
        self._open: dict[str, Command] = {}

    def ask(
        self,
        kind: str,
        command: Command,
        taken: Callable[[Answer], None],
        *,
        every: float,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Ask, if it is time: another question of a kind at once, the same one after `every`
        seconds, and not while it is being answered."""
        last = self._last.get(kind)
        if self._open.get(kind) == command or self._app.client is None:
            return
        if last is not None and last[0] == command and time.monotonic() < last[1]:
            return
        self._last[kind] = command, time.monotonic() + every
        work = self._call(kind, command, taken, failed)
        self._owner.run_worker(work, group=f"ask {kind}", exclusive=True)

    def soon(self, kind: str) -> None:
        """Ask again as soon as somebody wants it."""
        self._last.pop(kind, None)

    async def _call(
        self,
        kind: str,
        command: Command,
        taken: Callable[[Answer], None],
        failed: Callable[[str], None] | None,
    ) -> None:
        self._open[kind] = command  # not before it runs: one that never does would block the rest
        try:
            client = self._app.client
            if client is None:
                raise ConnectionError("no core is in reach")
            answer = await client.call(command)
        except (CommandError, ConnectionError) as error:
            self._last[kind] = command, time.monotonic() + ANEW_S
            if failed is not None:
                failed(str(error))
            return
        finally:
            if self._open.get(kind) is command:
                del self._open[kind]
        taken(answer)
        self._app.changed()
