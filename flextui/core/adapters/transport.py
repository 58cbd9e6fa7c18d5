"""What a session needs from a way to reach a node: a byte stream to a shell that runs a loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from flextui.core.adapters.pacer import Turn
from flextui.core.adapters.stream import ByteStream
from flextui.core.ports import Program, RunningProgram


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the preflight. ok None: a warning."""

    name: str
    ok: bool | None
    text: str


class Transport(Protocol):
    """Opens streams to one account of one node; used by one session."""

    async def open(self, turn: Turn) -> ByteStream:
        """A stream to the loader on the node; takes the turn before it costs this machine much.

        Raises LinkFailure.
        """

    async def run(self, turn: Turn, program: Program, core_id: str) -> RunningProgram:
        """Start a program, on a connection of its own. Raises LinkFailure."""

    def findings(self) -> list[Finding]:
        """What the last successful open() found out about the way."""

    def core_boot(self) -> dict[str, Any] | None:
        """This process as the node's own boot, pid and ticks, when both are one machine."""

    async def close(self) -> None:
        """Release what open() shares with nobody else."""
