"""The command `flextui` itself: what may stand before a command, and how every run ends.

A command's module is imported when the command is named; `listed.py` says which one.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from flextui import __version__
from flextui.cli import output
from flextui.cli.listed import COMMANDS, LATER
from flextui.cli.output import Failure
from flextui.cli.verb import Connector, Need, Options, Place, Sound, Verb, so_many
from flextui.core.model.problems import BadInput

if TYPE_CHECKING:
    from flextui.core.client import Client

_EXAMPLES = (
    "flextui                                  open the terminal on this machine",
    "flextui -i inventory.yaml submit job.yaml",
    "flextui --connect alice@head jobs --mine",
    "flextui -i inventory.yaml --headless     the core without a terminal",
)


class Root(click.Group):
    """Finds a command's module by its name, and names the nearest one for a name unknown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"flextui.cli.{COMMANDS[cmd_name].module}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, Verb)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        if name in LATER:
            raise click.UsageError(f"'{name}' is not supported yet; {LATER[name]}", ctx)
        from flextui.core.model.problems import nearest

        like = nearest(name, [name for name, it in COMMANDS.items() if it.summary])
        hint = f"; did you mean '{like}'?" if like else ""
        raise click.UsageError(f"no command '{name}'{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does it, but without a look into each command's module."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, it.summary) for name, it in COMMANDS.items() if it.summary])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example"):
            for example in _EXAMPLES:
                formatter.write(f"  {example}\n")


@click.group(
    "flextui",
    cls=Root,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-i", "--inventory", type=click.Path(), metavar="FILE", help="The nodes; see the documentation."
)
@click.option("--state-dir", metavar="DIR", help="Where the core keeps its state.")
@click.option("--connect", metavar="USER@HEAD", help="Use that machine's core, over SSH.")
@click.option("--socket", metavar="PATH", help="Serve, or use, the core behind this socket.")
@click.option("--socket-group", metavar="GROUP", help="Who may use that socket (with --headless).")
@click.option("--read-only", is_flag=True, help="The terminal: keys that act do nothing.")
@click.option("--ascii", "ascii_only", is_flag=True, help="The terminal: draw in plain ASCII.")
@click.option("--slow-line", is_flag=True, help="The terminal: send as little as can be.")
@click.option("--demo", is_flag=True, help="The terminal over a simulated fleet, to try it.")
@click.option("--seed", type=int, default=1, help="Which simulated fleet (with --demo).")
@click.option("--headless", is_flag=True, help="Hold the core without a terminal.")
@click.option("--idle-exit", type=float, hidden=True, help="End after so many idle seconds.")
@click.option("--ready-fd", type=int, hidden=True, help="Write a line there when ready.")
@click.version_option(__version__, prog_name="flextui", message="%(prog)s %(version)s")
@click.pass_context
def cli(
    ctx: click.Context,
    /,
    headless: bool,
    idle_exit: float | None,
    ready_fd: int | None,
    read_only: bool,
    ascii_only: bool,
    slow_line: bool,
    demo: bool,
    seed: int,
    **options: Any,
) -> int | None:
    """One terminal for the GPU boxes of a lab or a small team.

    Without a command it opens the terminal.
    """
    chosen = Options(**options)
    start: _Start = ctx.obj
    start.options = chosen
    ctx.obj = Place(chosen, start.connector)
    _check_together(chosen, headless, ctx.invoked_subcommand)
    if demo:
        _check_demo(chosen, headless, ctx.invoked_subcommand)
    if headless:
        from flextui.cli.twin import serve

        return serve(chosen, idle_exit_s=idle_exit, ready_fd=ready_fd)
    if ctx.invoked_subcommand is None:
        here = output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)
        if not here and not output.is_served():
            raise click.UsageError("there is no terminal here; expected a command", ctx)
        if here and os.environ.get("TERM") == "dumb":
            text = "this terminal can't be drawn on (TERM=dumb); expected a command"
            raise click.UsageError(text, ctx)
        from flextui.cli.terminal import open_demo, open_terminal
        from flextui.screens.opening import Flags

        flags = Flags(read_only, ascii_only, slow_line)
        return open_demo(flags, seed) if demo else open_terminal(chosen, flags)
    return None


def _check_together(options: Options, headless: bool, command: str | None) -> None:
    """Refuse options that contradict each other."""
    if headless and command:
        raise click.UsageError(f"--headless takes no command, and '{command}' was given")
    if headless and options.connect:
        raise click.UsageError("--headless is a core here, --connect uses one elsewhere: only one")
    if options.socket_group and not (headless and options.socket):
        raise click.UsageError("--socket-group needs --headless and --socket PATH")


def _check_demo(options: Options, headless: bool, command: str | None) -> None:
    """The simulated fleet has its own inventory, state and core."""
    if headless or command or options != Options():
        raise click.UsageError("--demo stands alone: it has a fleet and a core of its own")


def _connect(
    options: Options, need: Need, sound: Sound | None = None
) -> AbstractAsyncContextManager[Client]:
    from flextui.cli.connect import connect

    return connect(options, need, sound)


@dataclass(slots=True)
class _Start:
    """One run: how it reaches a core, and what was asked for, once that is known."""

    connector: Connector
    options: Options = field(default_factory=Options)


def run(argv: Sequence[str], connector: Connector = _connect) -> int:
    """Run a command line to its end; the exit status. No exception and no traceback leaves."""
    start = _Start(connector)
    try:
        status = cli.main(args=list(argv), prog_name="flextui", standalone_mode=False, obj=start)
        sys.stdout.flush()
        return status if isinstance(status, int) else output.DONE
    except BaseException as error:
        return _ended(error, start.options)


def _ended(error: BaseException, options: Options) -> int:
    """The exit status of a run that ended in this, after a word about it."""
    if isinstance(error, Failure):
        output.complain(error.text, error.details)
        return error.status
    if isinstance(error, output.StdoutClosed | BrokenPipeError):
        output.abandon_stdout()
        return output.BROKEN_PIPE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return output.INTERRUPTED
    if isinstance(error, click.ClickException):
        return _misused(error)
    if isinstance(error, BadInput):
        output.complain(so_many(len(error.problems)), [str(it) for it in error.problems])
        return output.INPUT
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else output.FAILED
    return _crashed(error, options)


def _misused(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "flextui"
    text = error.format_message().replace("a valid integer range", "a whole number")
    text = text.replace("a valid integer", "a whole number").replace("a valid float", "a number")
    output.complain(f"{text[:1].lower()}{text[1:].rstrip('.')} (see: {path} --help)")
    return output.INPUT


def _crashed(error: BaseException, options: Options) -> int:
    """A fault of flextui: one line for the person, the details for who mends it."""
    from flextui.cli.crash import record

    what = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    output.complain(f"internal error: {what}; details: {record(error, options.state_dir)}")
    return output.FAILED
