"""What every command has in common: examples in its help, and the way to a core.

Commands know a `Place`, never how a core is found, so that they are the same on this machine,
behind a shared socket and over SSH.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from flextui.cli import clock
from flextui.cli.output import DENIED, FAILED, INPUT, UNREACHABLE, Failure
from flextui.cli.text import count
from flextui.core.refusal import CommandError

if TYPE_CHECKING:  # slow to import
    from flextui.core.client import Client
    from flextui.core.commands import Command

T = TypeVar("T")

_STATUS = {"input": INPUT, "permission": DENIED, "failed": FAILED, "unreachable": UNREACHABLE}


class Need(Enum):
    """What a command needs of a core."""

    CORE = "a running core"
    NODES = "a running core, or else to look at the nodes itself"
    STORE = "a running core, or else what the store says"
    START = "a running core; one is started where none runs"


@dataclass(frozen=True, slots=True)
class Options:
    """What was said before the command's name."""

    inventory: str | None = None
    state_dir: str | None = None
    socket: str | None = None
    socket_group: str | None = None
    connect: str | None = None


Sound = Callable[[], None]
"""Looks at what is handed in, where no core runs that would: raises Failure where it is wrong."""


class Connector(Protocol):
    """The way to a core."""

    def __call__(
        self, options: Options, need: Need, sound: Sound | None = None
    ) -> AbstractAsyncContextManager[Client]:
        """Connect for as long as the context lasts. Raises Failure where that can't be."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command acts."""

    options: Options
    connector: Connector

    def run(
        self,
        act: Callable[[Client], Coroutine[Any, Any, T]],
        need: Need = Need.CORE,
        sound: Sound | None = None,
    ) -> T:
        """Connect, act, and close. Raises Failure for everything that a core refuses."""
        import asyncio  # slow to import: not for help

        return asyncio.run(self._run(act, need, sound))

    async def _run(
        self, act: Callable[[Client], Awaitable[T]], need: Need, sound: Sound | None
    ) -> T:
        try:
            async with self.connector(self.options, need, sound) as client:
                clock.follow(client.info)
                return await act(client)
        except CommandError as error:
            raise refused(error) from error
        except ConnectionError as error:
            said = str(error)
            text = said if said.startswith("the core") else f"the core went away: {said}"
            raise Failure(UNREACHABLE, text) from error

    def ask(
        self, command: Command, need: Need = Need.CORE, sound: Sound | None = None
    ) -> dict[str, Any]:
        """The answer to one command."""
        return self.run(lambda client: client.call(command), need, sound)


def refused(error: CommandError) -> Failure:
    """A core's refusal, with its problems or candidates on lines of their own."""
    if error.problems:
        lines = [problem_line(problem) for problem in error.problems]
        return Failure(_STATUS[error.code], so_many(len(lines)), lines)
    candidates = [f"  {name}" for name in error.candidates if name not in error.text]
    return Failure(_STATUS[error.code], error.text, candidates)


def so_many(problems: int) -> str:
    """What stands above the problems of files."""
    return f"{count(problems, 'problem')}; nothing was changed"


def problem_line(problem: dict[str, Any]) -> str:
    """`file:line:col: what is wrong`, as compilers and editors have it."""
    from flextui.core.model.problems import Problem

    return str(Problem(**problem))


class Verb(click.Command):
    """A command with examples, told under its options."""

    def __init__(self, *args: Any, examples: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples as they are: never wrapped, so that they can be copied."""
        with formatter.section("Example"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


def verb(name: str, *examples: str, **kwargs: Any) -> Callable[[Callable[..., Any]], Verb]:
    """Declare a command. It gets the Place as its first argument."""

    def declare(function: Callable[..., Any]) -> Verb:
        return click.command(name, cls=Verb, examples=examples, **kwargs)(click.pass_obj(function))

    return declare


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Don't ask.")
