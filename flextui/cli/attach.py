"""A job in the foreground: its output here, its exit status ours, Ctrl-C as users of srun know it.

The first Ctrl-C only says what can be done, the second stops the job, a third leaves it stopping.
Ctrl-\\ detaches.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable

from flextui.cli import output
from flextui.cli.follow import ENDED, changes, exit_status, say_state
from flextui.cli.stream import copy_logs
from flextui.core.client import Client
from flextui.core.commands import CommandError, LogRequest, Stop
from flextui.core.model.docs import JobDoc

_LAST_OUTPUT_S = 10.0
"""How long the end of the output is waited for once the job has ended."""


class _Keys:
    """What the person's signals ask for."""

    def __init__(self, client: Client, job: str, name: str) -> None:
        self._client = client
        self._job = job
        self._name = name
        self._presses = 0
        self._stopping: asyncio.Task[object] | None = None
        self.left: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def interrupt(self) -> None:
        self._presses += 1
        if self._presses == 1:
            output.say(
                f"flextui: {self._job} {self._name} goes on. Ctrl-C again stops it, "
                f"Ctrl-\\ detaches (flextui logs -f {self._job} shows it again)"
            )
        elif self._presses == 2:
            output.say(f"flextui: stopping {self._job}")
            self._stopping = asyncio.ensure_future(self._stop())
        else:
            self._leave(output.INTERRUPTED)

    def detach(self) -> None:
        output.say(f"flextui: detached; {self._job} goes on (flextui logs -f {self._job})")
        self._leave(output.DONE)

    async def _stop(self) -> None:
        try:
            await self._client.call(Stop((self._job,), why="Ctrl-C"))
        except (CommandError, ConnectionError) as error:
            output.complain(str(error))

    def _leave(self, status: int) -> None:
        if not self.left.done():
            self.left.set_result(status)

    @property
    def asked_to_stop(self) -> bool:
        return self._stopping is not None


async def attach(client: Client, job: str, name: str, *, quiet: bool) -> int:
    """Follow a job until it ends; its exit status, or 0 when the person detached."""
    loop = asyncio.get_running_loop()
    keys = _Keys(client, job, name)
    loop.add_signal_handler(signal.SIGINT, keys.interrupt)
    loop.add_signal_handler(signal.SIGQUIT, keys.detach)
    try:
        return await _either(keys.left, _to_its_end(client, job, keys, quiet=quiet))
    except ConnectionError as error:
        text = f"the core went away; {job} goes on (flextui logs -f {job} shows it again)"
        raise output.Failure(output.UNREACHABLE, text) from error
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGQUIT)


async def _either(left: asyncio.Future[int], end: Awaitable[int]) -> int:
    """The job's status, or the one that the person left with."""
    following = asyncio.ensure_future(end)
    try:
        await asyncio.wait({left, following}, return_when=asyncio.FIRST_COMPLETED)
        return left.result() if left.done() else await following
    finally:
        following.cancel()


async def _to_its_end(client: Client, job: str, keys: _Keys, *, quiet: bool) -> int:
    events = client.logs(LogRequest(job, follow=True))
    copying = asyncio.ensure_future(copy_logs(events, split_err=True))
    watching = asyncio.ensure_future(_watch(client, job, quiet=quiet))
    try:
        await asyncio.wait({copying, watching}, return_when=asyncio.FIRST_COMPLETED)
        if copying.done():
            copying.result()
        ended = await watching
        await asyncio.wait({copying}, timeout=_LAST_OUTPUT_S)
        if copying.done():
            copying.result()
        else:
            output.say(f"flextui: {job} ended; the end of its output can't be had now")
    finally:
        copying.cancel()
        watching.cancel()
    if not quiet and ended["state"] != "succeeded":
        say_state(ended)
    if keys.asked_to_stop and ended["exit_code"] is None:
        return output.INTERRUPTED
    return exit_status(ended)


async def _watch(client: Client, job: str, *, quiet: bool) -> JobDoc:
    """The job when it has ended; says meanwhile why it waits."""
    said = ""
    async for doc in changes(client, [job]):
        if doc["state"] in ENDED:
            return doc
        waits = doc["reason"] and not any(task["attempts"] for task in doc["tasks"])
        if waits and doc["reason"] != said and not quiet:
            said = doc["reason"]
            say_state(doc)
    raise ConnectionError("the core ended the view")
