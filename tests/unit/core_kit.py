"""A whole core over a fake fleet, for tests: engine, store, desk, and both kinds of client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flextui.core.adapters.clock import SystemClock
from flextui.core.commands import Source, Submit
from flextui.core.model.docs import JobDoc
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import Attempt, AttemptState, Node, NodeStatus, Now, Snapshot
from flextui.core.ports import Clock
from flextui.core.start import Core, CoreOptions, open_core
from tests.unit.fake_fleet import FakeFleet, FakeNode

WITHIN_S = 20.0
"""Deadline of every wait: passing tests never come near it."""


@dataclass
class ManualClock:
    """A clock that a test turns; the engine must be poked after it."""

    wall: float = 1_700_000_000.0
    mono: float = 1000.0
    watching: bool = False
    stall: bool = False

    def now(self) -> Now:
        return Now(self.wall, self.mono)

    def stalled(self) -> bool:
        stall, self.stall = self.stall, False
        return stall

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@dataclass
class Bench:
    """A core that can be killed and started again over the same boxes and the same state."""

    folder: Path
    inventory: Inventory
    fleet: FakeFleet
    clock: Clock = field(default_factory=SystemClock)
    core: Core | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def running(self) -> Core:
        assert self.core is not None
        return self.core

    @property
    def snapshot(self) -> Snapshot:
        return self.running.engine.snapshot

    async def start(self) -> Core:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "inventory.yaml"
        path.write_text(self.inventory.to_text())
        options = CoreOptions(self.folder / "state", inventory=path, **self.options)
        self.core = await open_core(options, sessions=self.fleet, clock=self.clock)
        return self.core

    async def stop(self) -> None:
        core, self.core = self.core, None
        if core is not None:
            await core.close()

    async def until(self, true: Callable[[Snapshot], Any]) -> Snapshot:
        """Wait for the snapshot to be so."""
        watcher = self.running.engine.feed.join()
        try:
            async with asyncio.timeout(WITHIN_S):
                while not true(self.snapshot):
                    await watcher.changed()
                    watcher.take()
        except TimeoutError:
            raise AssertionError(f"never came true:\n{picture(self.snapshot)}") from None
        finally:
            self.running.engine.feed.leave(watcher)
        return self.snapshot

    async def ready(self) -> None:
        """Wait until every reachable node has said hello and sent a sample."""
        up = {name for name, node in self.fleet.nodes.items() if node.reachable}
        await self.until(lambda s: all(_known(s.nodes[name]) for name in up if name in s.nodes))

    async def submit(self, text: str) -> list[str]:
        """Submit a file of jobs; their ids."""
        answer = await self.running.client().call(Submit((Source("test.yaml", text),)))
        return [job["id"] for job in answer["jobs"]]

    async def turn(self) -> None:
        """Let the engine look at the clock and at all that was told it, and wait for that turn."""
        await self.running.engine.ask(lambda draft: _nothing(draft))

    def attempt(self, key: str) -> Attempt:
        return self.snapshot.attempts[key]


def _known(node: Node) -> bool:
    return node.sampled or node.status is NodeStatus.UNREACHABLE


def _nothing(draft: Any) -> Callable[[Snapshot], dict[str, Any]]:
    return lambda _: {}


@contextlib.asynccontextmanager
async def bench(
    folder: Path, inventory: Inventory, *nodes: FakeNode, clock: Clock | None = None, **options: Any
) -> AsyncIterator[Bench]:
    """A started core over these nodes."""
    made = Bench(folder, inventory, FakeFleet(*nodes), clock or SystemClock(), options=options)
    await made.start()
    try:
        await made.ready()
        yield made
    finally:
        await made.stop()


def picture(snapshot: Snapshot) -> str:
    """The state in a few lines, for a failed test."""
    lines = [f"node {it.name} {it.status} {it.reason}" for it in snapshot.nodes.values()]
    for job in [*snapshot.jobs.values(), *snapshot.recent.values()]:
        lines.append(f"job {job.id} {job.name} {job.state} {job.reason}")
    lines += [f"task {it.key} {it.state} {it.reason}" for it in snapshot.tasks.values()]
    lines += [
        f"attempt {it.id} {it.state} {it.why} {it.reason}" for it in snapshot.attempts.values()
    ]
    return "\n".join(lines)


def state_of(snapshot: Snapshot, job: str) -> str:
    found = snapshot.jobs.get(job) or snapshot.recent.get(job)
    return str(found.state) if found else "gone"


def running(job: str, task: int = 0) -> Any:
    """True of a snapshot in which that task's active attempt runs."""

    def true(snapshot: Any) -> bool:
        found = [it for it in snapshot.tasks.values() if str(it.key) == f"{job}.{task}"]
        if not found or found[0].active is None:
            return False
        return snapshot.attempts[found[0].active].state is AttemptState.RUNNING

    return true


def only_attempts(doc: JobDoc) -> list[str]:
    return [attempt["id"] for task in doc["tasks"] for attempt in task["attempts"]]


def run_with(eager: bool, main: Coroutine[Any, Any, None]) -> None:
    """Run under the default or the eager task factory (Python 3.12 and later)."""

    async def outer() -> None:
        factory = getattr(asyncio, "eager_task_factory", None)
        if eager and factory is not None:
            asyncio.get_running_loop().set_task_factory(factory)
        await main

    asyncio.run(outer())
