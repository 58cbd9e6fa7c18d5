"""Which function folds which command into the state."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from flextui.core.commands import (
    Command,
    CommandError,
    Cordon,
    DeclareLost,
    Drain,
    Hold,
    Release,
    Reserve,
    Restart,
    Revise,
    Scale,
    SetPriority,
    Silence,
    Stop,
    Submit,
    TakeOver,
    Unreserve,
    Unsilence,
    Unstop,
)
from flextui.core.draft import Draft
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity
from flextui.core.reduce import fleet, holds, jobs, reservations, silences
from flextui.core.reduce.jobs import Answer
from flextui.core.reduce.revise import revise

_HANDLERS: dict[type, Callable[..., Answer]] = {
    Stop: jobs.stop,
    Unstop: jobs.unstop,
    Hold: holds.hold,
    Release: holds.release,
    Restart: jobs.restart,
    Scale: jobs.scale,
    SetPriority: jobs.set_priority,
    Drain: fleet.drain,
    Cordon: fleet.cordon,
    DeclareLost: fleet.declare_lost,
    TakeOver: fleet.take_over,
    Reserve: reservations.reserve,
    Unreserve: reservations.unreserve,
    Unsilence: silences.unsilence,
}


def changes_state(command: Command) -> bool:
    """Whether the command goes through a turn of the engine."""
    return isinstance(command, Submit | Revise | Silence) or type(command) in _HANDLERS


def apply_command(
    draft: Draft, command: Command, who: Identity, admin: bool, specs: Sequence[JobSpec]
) -> Answer | Generator[None, None, Answer]:
    """Fold a command in; `specs` are those of a submit. Raises `CommandError`: nothing changed."""
    if isinstance(command, Submit):
        return jobs.submit_steps(draft, who, admin, specs)
    if isinstance(command, Revise):
        if len(specs) != 1:
            raise CommandError("input", f"{len(specs)} jobs in the text: expected the one")
        return revise(draft, who, admin, command, specs[0])
    return _HANDLERS[type(command)](draft, who, admin, command)
