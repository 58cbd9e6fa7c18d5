"""shell and exec: a program on a node, or inside a running attempt, in this terminal.

With a terminal at both ends it is as with ssh: keys go there one by one, Ctrl-C too; Enter ~ . ends
a session that hangs. Without one, stdin, stdout and stderr are passed on as they are.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import click

from flextui.cli import output
from flextui.cli.complete import job_names, node_names
from flextui.cli.stream import write_all
from flextui.cli.verb import Place, verb
from flextui.core.client import Client
from flextui.core.commands import ShellRequest
from flextui.core.model.docs import ShellEvent, ShellInput

CHUNK = 16 * 1024
AHEAD = 32
"""Pieces of stdin that may be on their way; fewer than what a core takes unread."""
_PASSED_ON = {signal.SIGINT: "INT", signal.SIGTERM: "TERM", signal.SIGHUP: "HUP"}


@verb(
    "shell",
    "flextui shell gpu1",
    "flextui shell gpu1 -- nvidia-smi -L",
    short_help="A shell on a node.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("node", shell_complete=node_names)
@click.argument("command", metavar="[-- CMD...]", nargs=-1)
def shell(place: Place, node: str, command: tuple[str, ...]) -> int:
    """A shell on a node, as the account that its jobs run under, or a command there; its exit
    status is the program's. For admins: jobs that share an account aren't isolated from each other.

    Enter ~ . ends a session that hangs.
    """
    return place.run(lambda client: _attach(client, ShellRequest(node=node, argv=_argv(command))))


@verb(
    "exec",
    "flextui exec train-resnet",
    "flextui exec chat-api:2 -- nvidia-smi",
    "flextui exec j17 -- sh -c 'tail -f *.log'",
    short_help="A program inside a running attempt.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("job", metavar="JOB[:TASK]", shell_complete=job_names)
@click.argument("command", metavar="[-- CMD...]", nargs=-1)
def exec(place: Place, job: str, command: tuple[str, ...]) -> int:
    """Run a program where an attempt of a job runs: its folder, its environment, its GPUs. A shell
    if no command is given. It ends with the attempt; its exit status is the program's.

    Enter ~ . ends a session that hangs.
    """
    name, task = _split(job)
    request = ShellRequest(job=name, task=task, argv=_argv(command))
    return place.run(lambda client: _attach(client, request))


def _argv(command: tuple[str, ...]) -> tuple[str, ...]:
    """Without the `--` that parts it from what is flextui's."""
    return command[1:] if command[:1] == ("--",) else command


def _split(job: str) -> tuple[str, int]:
    name, colon, task = job.rpartition(":")
    if not colon:
        return job, -1
    if not name or not task.isdecimal():
        raise click.UsageError(f"'{job}': expected JOB or JOB:TASK")
    return name, int(task)


async def _attach(client: Client, request: ShellRequest) -> int:
    """Run it with this terminal, or these pipes; its exit status. Raises Failure."""
    terminal = output.is_terminal(sys.stdin) and output.is_terminal(sys.stdout)
    if terminal:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        term = os.environ.get("TERM", "") or "xterm"
        request = replace(request, term=term, columns=columns, lines=lines)
    keys = Keys(terminal)
    task = asyncio.current_task()
    assert task is not None
    try:
        said = client.shell(request, keys.inputs())
        async with contextlib.aclosing(said) as events:  # type: ignore[type-var]
            return await _shown(events, keys, task.cancel)
    except asyncio.CancelledError:
        if not keys.left:
            raise
        task.uncancel()
        output.say("flextui: left")
        return output.INTERRUPTED


async def _shown(events: AsyncIterator[ShellEvent], keys: Keys, leave: Callable[[], object]) -> int:
    """Show what comes until its end; the exit status. `leave` is called by the escape."""
    place = "the program"
    with contextlib.ExitStack() as stack:
        async for event in events:
            match event["kind"]:
                case "open":
                    place = event["text"]
                    stack.enter_context(keys.taken(leave))
                case "out":
                    await write_all(sys.stdout.fileno(), base64.b64decode(event["b64"]))
                case "err":
                    await write_all(sys.stderr.fileno(), base64.b64decode(event["b64"]))
                case "taken":
                    keys.room.release()
                case "exit":
                    return event["status"]
                case "lost":
                    text = f"the connection to {place} broke: {event['text']}"
                    raise output.Failure(output.UNREACHABLE, text)
    raise output.Failure(output.UNREACHABLE, f"the core ended the session with {place}")


class Keys:
    """What goes to the program: keys or the bytes of stdin, sizes, signals."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._queue: asyncio.Queue[ShellInput] = asyncio.Queue()
        self.room = asyncio.Semaphore(AHEAD)
        """Released for each piece of stdin that the program has read. Sizes and signals need no
        room: they go past what it doesn't read."""
        self.left = False
        """The person has left a session that hangs."""

    async def inputs(self) -> AsyncGenerator[ShellInput, None]:
        """To the program, as they come."""
        while True:
            yield await self._queue.get()

    @contextlib.contextmanager
    def taken(self, leave: Callable[[], object]) -> Iterator[None]:
        """This process's terminal and signals are the program's; afterwards as they were."""
        loop = asyncio.get_running_loop()
        reading = loop.create_task(self._read(leave))
        signals: list[signal.Signals] = []
        before: list[Any] | None = None
        if self._terminal:
            before = termios.tcgetattr(sys.stdin.fileno())
            tty.setraw(sys.stdin.fileno(), termios.TCSADRAIN)
            loop.add_signal_handler(signal.SIGWINCH, self._resized)
            signals.append(signal.SIGWINCH)
        for number, name in _PASSED_ON.items():
            loop.add_signal_handler(number, self._pass_on, name)
            signals.append(number)
        try:
            yield
        finally:
            reading.cancel()
            for number in signals:
                loop.remove_signal_handler(number)
            if before is not None:
                with contextlib.suppress(termios.error):  # the terminal is gone
                    termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)

    def _pass_on(self, name: str) -> None:
        self._queue.put_nowait({"kind": "signal", "name": name})

    def _resized(self) -> None:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        self._queue.put_nowait({"kind": "size", "columns": columns, "lines": lines})

    async def _read(self, leave: Callable[[], object]) -> None:
        fd, escape = sys.stdin.fileno(), Escape()
        while data := await _piece(fd):
            if self._terminal and escape.found(data):
                self.left = True
                leave()
                return
            await self.room.acquire()
            self._queue.put_nowait({"kind": "data", "b64": base64.b64encode(data).decode()})
        self._queue.put_nowait({"kind": "end"})


class Escape:
    """Finds Enter, `~`, `.` among the keys."""

    def __init__(self) -> None:
        self._last = b"\r"

    def found(self, data: bytes) -> bool:
        """Whether these keys complete it."""
        seen = self._last + data
        self._last = seen[-2:]
        return b"\r~." in seen


async def _piece(fd: int) -> bytes:
    """What stdin has next; nothing at its end. Files can't be waited for and needn't be."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except (PermissionError, OSError):
        return await asyncio.to_thread(os.read, fd, CHUNK)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    with contextlib.suppress(OSError):
        return os.read(fd, CHUNK)
    return b""
