"""A core in a process of its own over real nodes, as an operator would run it.

Tests here see what a user sees: the command line and the socket. `Twin` is the headless twin,
which may be killed and started again; `View` is what it shows, kept up to date; both wait for what
is to happen, with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flextui.core.adapters import paths
from flextui.core.commands import ListJobs, Source, Submit
from flextui.core.model.docs import AttemptDoc, EventDoc, FleetDoc, JobDoc, NodeDoc
from flextui.core.socket_client import SocketClient
from tests.bench.accounts import python_for_everybody
from tests.bench.nodes import SshFleet

READY_WITHIN = 90.0
WITHIN = 120.0
"""Deadline of what takes seconds here: generous, since it decides nothing but a hang."""
REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Person:
    """Somebody with a home of their own: root as it is, or an account of the bench."""

    def __init__(self, home: Path, account: str = "root", groups: Sequence[str] = ()) -> None:
        """`home` is made; a fleet's `write_home` may have filled it. `groups` are joined."""
        self.account = account
        home.mkdir(parents=True, exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO), "HOME": str(home)}
        self.command = [sys.executable, "-P", "-m", "flextui"]
        if account != "root":
            python, variables = python_for_everybody()
            self.env.update(variables)
            ids = [str(grp.getgrnam(it).gr_gid) for it in (*groups, account)]
            identity = [f"--reuid={account}", f"--regid={account}", f"--groups={','.join(ids)}"]
            self.command = ["setpriv", *identity, "--", python, "-m", "flextui"]
            subprocess.run(["chown", "-R", f"{account}:{account}", str(home)], check=True)


class Twin:
    """The headless twin of one state directory, and commands given beside it."""

    def __init__(
        self,
        folder: Path,
        inventory: Path,
        owner: Person,
        *,
        flags: Sequence[str] = (),
    ) -> None:
        """`flags` are given with --headless."""
        self.folder = folder
        self.inventory = inventory
        self.owner = owner
        self.said: list[str] = []
        """Lines of its stderr."""
        self._flags = list(flags)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def spawn(self) -> None:
        """Start it, without waiting until it is ready."""
        self._ready = asyncio.Event()
        self._process = await asyncio.create_subprocess_exec(
            *self.owner.command, "-i", str(self.inventory), "--headless", *self._flags,
            env={**self.owner.env, "FLEXTUI_STATE_DIR": str(self.folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read(self._process))

    async def ready(self) -> None:
        """Return once it takes commands; RuntimeError with its last words if it ended instead."""
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._ready.wait())
        async with asyncio.timeout(READY_WITHIN):
            await asyncio.wait([ended, ready], return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, ready):
            task.cancel()
        if not self._ready.is_set():
            raise RuntimeError(f"the twin ended: {self.said[-5:]}")

    async def start(self) -> None:
        await self.spawn()
        await self.ready()

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self._process is not None
        async with asyncio.timeout(WITHIN):
            status = await self._process.wait()
        assert self._reader is not None
        await self._reader
        return status

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and wait for its end; its exit status."""
        if self.running:
            self.signal(number)
        return await self.wait()

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        await self.end(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def client(self) -> SocketClient:
        return await SocketClient.connect(paths.recorded_socket(self.folder))

    async def run(self, *words: str, by: Person | None = None, within: float = WITHIN) -> Done:
        """A command of the command line, to its end. `by` somebody else: by the shared socket."""
        who = by or self.owner
        state = {"FLEXTUI_STATE_DIR": str(self.folder)} if by is None else {}
        process = await asyncio.create_subprocess_exec(
            *who.command,
            "-i",
            str(self.inventory),
            *words,
            env={**who.env, **state},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(within):
                out, err = await process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        assert process.returncode is not None
        return Done(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            text = line.decode(errors="replace").rstrip()
            self.said.append(text)
            if text == "flextui: ready":
                self._ready.set()


@contextlib.asynccontextmanager
async def twin(folder: Path, inventory: Path, owner: Person, **rest: Any) -> AsyncIterator[Twin]:
    """A twin that takes commands, for as long as the context lasts."""
    made = Twin(folder, inventory, owner, **rest)
    await made.start()
    try:
        yield made
    finally:
        if made.running:
            await made.kill()


@contextlib.asynccontextmanager
async def over(fleet: SshFleet, folder: Path, **top: Any) -> AsyncIterator[Twin]:
    """root's twin over a fleet, with its state in `folder`/core. `top` goes to the inventory."""
    inventory = fleet.inventory(folder / "i.yaml", **top)
    async with twin(folder / "core", inventory, Person(fleet.write_home(folder / "home"))) as core:
        yield core


# ── what it shows ──────────────────────────────────────────────────────────────────────────────


@dataclass
class View:
    """The jobs (by name) and nodes of a fleet as the core shows them, and what happened."""

    client: SocketClient
    jobs: dict[str, JobDoc] = field(default_factory=dict)
    nodes: dict[str, NodeDoc] = field(default_factory=dict)
    fleet: FleetDoc | None = None
    events: list[EventDoc] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _broken: BaseException | None = None

    async def until(self, holds: Callable[[], Any], within: float = WITHIN) -> Any:
        """The first true value of `holds()`, looked at after each change."""
        try:
            async with asyncio.timeout(within), self._moved:
                while not (found := holds()):
                    if self._broken is not None:
                        raise self._broken
                    await self._moved.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"not within {within:.0f} s:\n{self}") from None

    async def submit(self, *specs: str) -> list[str]:
        """Hand specs in; their ids."""
        answer = await self.client.call(Submit(tuple(Source("test.yaml", it) for it in specs)))
        return [job["id"] for job in answer["jobs"]]

    async def ready(self, *names: str, within: float = WITHIN) -> None:
        """Wait until these nodes (all, if none is named) are ready."""
        await self.until(lambda: all(self._is_ready(it) for it in names or self.nodes), within)

    async def state(self, job: str, *states: str, within: float = WITHIN) -> JobDoc:
        """Wait until a job is in one of these states."""

        def holds() -> JobDoc | None:
            found = self.jobs.get(job)
            return found if found is not None and found["state"] in states else None

        found: JobDoc = await self.until(holds, within)
        return found

    async def event(
        self, kind: str, *, within: float = WITHIN, after: int = 0, **like: Any
    ) -> EventDoc:
        """Wait for an event of this kind (that isn't older than seq `after`)."""

        def holds() -> EventDoc | None:
            kinds = (it for it in self.events if it["kind"] == kind and it["seq"] > after)
            fits = (it for it in kinds if all(it.get(key) == like[key] for key in like))
            return next(fits, None)

        found: EventDoc = await self.until(holds, within)
        return found

    def reason(self, job: str) -> str:
        """Why a job is as it is; empty while it isn't in sight."""
        return self.jobs[job]["reason"] if job in self.jobs else ""

    def attempts(self, job: str, task: int = 0) -> list[AttemptDoc]:
        return self.jobs[job]["tasks"][task]["attempts"]

    def running_on(self, job: str, task: int = 0) -> str | None:
        """The node where a task runs now."""
        if job not in self.jobs or len(self.jobs[job]["tasks"]) <= task:
            return None
        attempts = self.attempts(job, task)
        return attempts[-1]["node"] if attempts and attempts[-1]["state"] == "running" else None

    def __str__(self) -> str:
        lines = [f"{it['name']}: {it['state']} {it['reason']}" for it in self.nodes.values()]
        for job in self.jobs.values():
            lines.append(f"{job['name']} {job['id']}: {job['state']} {job['reason']}")
            for task in job["tasks"]:
                tried = [(it["id"], it["node"], it["state"], it["why"]) for it in task["attempts"]]
                lines.append(f"  {task['index']}: {task['state']} {task['reason']} {tried}")
        lines += [f"{it['at']} {it['kind']} {it['text']}" for it in self.events[-40:]]
        return "\n".join(lines)

    def _is_ready(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name]["state"] == "ready"

    async def _watch(self) -> None:
        async for delta in self.client.watch():
            async with self._moved:
                self.fleet = delta.get("fleet", self.fleet)
                for key, job in delta["jobs"].items():
                    if job is not None:
                        self._names[key] = job["name"]
                        self.jobs[job["name"]] = job
                for name, node in delta["nodes"].items():
                    if node is not None:
                        self.nodes[name] = node
                self._moved.notify_all()

    async def _listen(self) -> None:
        async for event in self.client.events(after=0):
            async with self._moved:
                self.events.append(event)
                self._moved.notify_all()

    async def _follow(self, what: Callable[[], Any]) -> None:
        try:
            await what()
        except (ConnectionError, OSError) as error:
            async with self._moved:
                self._broken = error
                self._moved.notify_all()


@contextlib.asynccontextmanager
async def view(core: Twin) -> AsyncIterator[View]:
    """What the core shows, for as long as it lives."""
    client = await core.client()
    shown = View(client)
    tasks = [asyncio.create_task(shown._follow(it)) for it in (shown._watch, shown._listen)]
    try:
        await shown.until(lambda: shown.fleet is not None)
        yield shown
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()


async def all_jobs(client: SocketClient) -> list[JobDoc]:
    """Every job that the store knows, ended ones too."""
    found: list[JobDoc] = (await client.call(ListJobs()))["jobs"]
    return found


# ── what can't tell us that it has happened ────────────────────────────────────────────────────

_LOOK_S = 0.02


async def eventually(holds: Callable[[], Any], within: float = WITHIN, what: str = "") -> Any:
    """The first true value of `holds()`: of process tables and files, which call nobody."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not (found := holds()):
        if loop.time() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what or holds}")
        await asyncio.sleep(_LOOK_S)
    return found
