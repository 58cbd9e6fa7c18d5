"""Shells: a program on a node, or inside a running attempt, for somebody who sits at a terminal.

Who may: a shell on a node is for admins, since jobs that share an account there aren't isolated
from each other; entering an attempt is for its owner, who may run anything there anyway, and for
admins. Each is in the history. The program has a connection of its own to its node, so it holds up
neither the core's talk with the agent nor is held up by it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from flextui.core.authorize import admins_only, may_act_on
from flextui.core.commands import CommandError, ShellRequest
from flextui.core.desk import Desk
from flextui.core.draft import Draft
from flextui.core.model.docs import ShellEvent, ShellInput
from flextui.core.model.state import Attempt, AttemptState, Identity, Job, Snapshot
from flextui.core.ports import Program, RunningProgram
from flextui.core.reduce.fleet import no_such_node

QUEUE = 16
"""Events that wait for a slow client; then the program waits."""
UNREAD = 128
"""Pieces of input that wait for a program; then all waits that it is told."""
LONGEST = 64 * 1024
"""Bytes of a command that an attempt is entered with."""
_TERM = re.compile(r"[A-Za-z0-9._+-]{0,64}")
_SIGNALS = ("HUP", "INT", "QUIT", "TERM", "KILL", "USR1", "USR2")
_MOST = 10_000


async def shell_events(
    desk: Desk, request: ShellRequest, who: Identity, inputs: AsyncIterator[ShellInput]
) -> AsyncGenerator[ShellEvent, None]:
    """What a program says, until it ends. Raises `CommandError` where it can't be started."""
    node, program, note = _planned(desk, request, who)
    await desk.engine.ask(note)
    session = desk.engine.sessions.get(node)
    if session is None:
        raise CommandError("unreachable", f"{node}: {desk.engine.snapshot.nodes[node].reason}")
    try:
        running = await session.run(program)
    except ConnectionError as error:
        raise CommandError("unreachable", f"{node}: {error}") from error
    events: asyncio.Queue[ShellEvent] = asyncio.Queue(QUEUE)
    tasks = [
        asyncio.create_task(_feed(running, inputs, events)),
        asyncio.create_task(_read(running, events)),
    ]
    try:
        yield {"kind": "open", "text": program.attempt or node}
        while True:
            event = await events.get()
            yield event
            if event["kind"] in ("exit", "lost"):
                return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await running.close()


# ── what is to run, and whether it may ─────────────────────────────────────────────────────────

Note = Callable[[Draft], Callable[[Snapshot], dict[str, Any]]]


def _planned(desk: Desk, request: ShellRequest, who: Identity) -> tuple[str, Program, Note]:
    """Where, what, and its line of history. Raises `CommandError`."""
    if not _TERM.fullmatch(request.term):
        raise CommandError("input", f"{request.term!r:.60} is no kind of terminal")
    if sum(map(len, request.argv)) > LONGEST:
        raise CommandError("input", f"the command is longer than {LONGEST} characters")
    if any("\0" in word for word in request.argv):
        raise CommandError("input", "a command can't hold a zero byte")
    columns, lines = _size(request.columns), _size(request.lines)
    said = shlex.join(request.argv) or "a shell"
    if request.node:
        admins_only("have a shell on a node", desk.admin(who))
        if request.node not in desk.engine.snapshot.nodes:
            raise no_such_node(request.node, list(desk.engine.snapshot.nodes))
        program = Program(request.argv, "", request.term, columns, lines)
        note = _note("audit.shell", f"{request.node}: {said}", who, node=request.node)
        return request.node, program, note
    job = desk.find(request.job, who)
    may_act_on(job, who, desk.admin(who))
    attempt = _running(desk.engine.snapshot, job, request.task)
    program = Program(request.argv, attempt.id, request.term, columns, lines)
    text = f"{job.full_name}: {said} in {attempt.id}"
    place = {"node": attempt.node, "job": job.id, "attempt": attempt.id}
    return attempt.node, program, _note("audit.exec", text, who, **place)


def _running(snapshot: Snapshot, job: Job, task: int) -> Attempt:
    """The attempt that runs: of that task, or of the first that has one. Raises `CommandError`."""
    keys = [key for key in snapshot.by_job.get(job.id, ()) if task in (-1, key.index)]
    if not keys:
        raise CommandError("input", f"{job.full_name} has no task {task}")
    for key in keys:
        found = snapshot.attempts.get(snapshot.tasks[key].active or "")
        if found is not None and found.state is AttemptState.RUNNING and not found.replaced:
            return found
    what = job.full_name if task == -1 else f"task {task} of {job.full_name}"
    raise CommandError("failed", f"{what} isn't running now ({job.reason or job.state})")


def _note(kind: str, text: str, who: Identity, **place: str) -> Note:
    def note(draft: Draft) -> Callable[[Snapshot], dict[str, Any]]:
        draft.note(kind, text[:1000], actor=who.user, **place)  # type: ignore[arg-type]
        return lambda _: {}

    return note


def _size(cells: object) -> int:
    return max(1, min(cells, _MOST)) if type(cells) is int else 80


# ── to and fro ─────────────────────────────────────────────────────────────────────────────────


async def _feed(
    running: RunningProgram, inputs: AsyncIterator[ShellInput], events: asyncio.Queue[ShellEvent]
) -> None:
    """What the program is told. Sizes and signals wait for no byte that it doesn't read."""
    unread: asyncio.Queue[bytes | None] = asyncio.Queue(UNREAD)
    writing = asyncio.create_task(_write(running, unread, events))
    try:
        async for it in inputs:
            match it.get("kind"):
                case "data":
                    await unread.put(_bytes(it.get("b64")))
                case "size":
                    running.resize(_size(it.get("columns")), _size(it.get("lines")))
                case "signal" if it.get("name") in _SIGNALS:
                    running.signal(str(it.get("name")))
                case "end":
                    await unread.put(None)
        await writing
    finally:
        writing.cancel()


async def _write(
    running: RunningProgram, unread: asyncio.Queue[bytes | None], events: asyncio.Queue[ShellEvent]
) -> None:
    """Its stdin; each piece is told as taken, and whoever sends waits for that."""
    while (data := await unread.get()) is not None:
        await running.write(data)
        await events.put({"kind": "taken"})
    running.end_input()


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""


async def _read(running: RunningProgram, events: asyncio.Queue[ShellEvent]) -> None:
    try:
        async for stream, data in running.output():
            await events.put({"kind": stream, "b64": base64.b64encode(data).decode()})
        await events.put({"kind": "exit", "status": await running.wait()})
    except ConnectionError as error:
        await events.put({"kind": "lost", "text": str(error)})
