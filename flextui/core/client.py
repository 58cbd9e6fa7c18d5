"""The one door to a core, whether it lives in this process or behind a socket.

Screens and commands only know this protocol. `EmbeddedClient` (core/embedded.py) and
`SocketClient` (core/socket_client.py) keep the same contract, held by the same tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # slow to import
    from flextui.core.commands import Command, LogRequest, ShellRequest
    from flextui.core.model.docs import Delta, EventDoc, LogEvent, ShellEvent, ShellInput


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """Who answers."""

    version: str
    wire: int
    core: str
    """user@host"""
    pid: int
    fleet: str
    inventory: str
    """Path of the inventory in use, empty for the built-in one-node fleet."""
    headless: bool
    user: str
    """Who the core says the caller is."""
    admin: bool
    ahead_s: float = 0.0
    """How far its clock is ahead of this machine's: a simulated fleet lives in a day of its own."""


class Client(Protocol):
    """Every call may raise CommandError; ConnectionError means the core went away."""

    @property
    def info(self) -> CoreInfo: ...

    async def call(self, command: Command) -> dict[str, Any]: ...

    def watch(self) -> AsyncIterator[Delta]:
        """The view, whole at first, then changes, at most a few times a second."""

    def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]: ...

    def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        """New events as they happen; with `after`, stored ones first."""

    def shell(
        self, request: ShellRequest, inputs: AsyncIterator[ShellInput]
    ) -> AsyncIterator[ShellEvent]:
        """Run a program on a node until it ends or the iteration does; `inputs` are for it."""

    async def close(self) -> None: ...
