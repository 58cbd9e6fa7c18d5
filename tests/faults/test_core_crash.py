"""A core that dies between any two steps: every job still runs exactly once, with its true end.

A step is a commit (before and after it) and each effect (before and after it is handed over).
The boxes go on meanwhile; the next core has only its store and what the boxes tell.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core import commands as c
from flextui.core.adapters.store import SqliteStore
from flextui.core.commands import CommandError
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import AttemptState
from flextui.core.ports import Changes, CoreIdentity, Effect
from flextui.core.start import CoreOptions, open_core
from tests.unit.core_kit import WITHIN_S, Bench, picture, running
from tests.unit.fake_fleet import FakeFleet, FakeNode, FakeSession, inventory

JOBS = 6
BATCH = "".join(f"name: work{n}\nrun: exit {n}\nresources: {{cpus: 2}}\n---\n" for n in range(JOBS))
SERVICE = "name: web\ntype: service\nrun: sleep\nresources: {cpus: 1}\n"


class Killed(BaseException):
    """kill -9: nothing after it runs."""


class Fuse:
    """Burns down by one at each step; at zero, the core is dead."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise Killed


class MortalStore(SqliteStore):
    def __init__(self, folder: Path, fuse: Fuse) -> None:
        super().__init__(folder)
        self.fuse = fuse

    async def commit(self, changes: Changes) -> None:
        self.fuse.step()
        await super().commit(changes)
        self.fuse.step()


class MortalSession(FakeSession):
    fuse: Fuse

    def send(self, effect: Effect) -> None:
        self.fuse.step()
        super().send(effect)
        self.fuse.step()


class MortalFleet(FakeFleet):
    fuse: Fuse

    def open(self, node: NodeSpec, identity: CoreIdentity, root: Any, emit: Any) -> FakeSession:
        made = super().open(node, identity, root, emit)
        made.__class__ = MortalSession
        made.fuse = self.fuse  # type: ignore[attr-defined]
        return made


class MortalBench(Bench):
    """A bench whose core dies when its fuse is burnt."""

    async def live(self, steps: int) -> None:
        fuse = Fuse(steps)
        assert isinstance(self.fleet, MortalFleet)
        self.fleet.fuse = fuse
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "inventory.yaml"
        path.write_text(self.inventory.to_text())
        state = self.folder / "state"
        self.core = await open_core(
            CoreOptions(state, inventory=path),
            sessions=self.fleet,
            store=MortalStore(state, fuse),
            clock=self.clock,
        )

    async def bury(self) -> None:
        """What the kernel does for a process that was killed."""
        core, self.core = self.core, None
        assert core is not None
        for node in self.fleet.nodes.values():
            node.session = None
        await core.close()
        died = core.engine._task
        if died is not None and not died.cancelled():
            died.exception()  # looked at: Killed is what was wanted


async def scene(folder: Path, fuses: list[int]) -> None:
    nodes = (FakeNode("n1", cpus=3), FakeNode("n2", cpus=3))
    made = MortalBench(folder, inventory("n1", "n2"), MortalFleet(*nodes))
    acknowledged: list[str] = []
    wanted = [BATCH, SERVICE]
    for steps in [*fuses, 1 << 30]:
        await made.live(steps)
        try:
            while wanted:
                ids = await made.submit(wanted[0])
                wanted.pop(0)
                acknowledged += ids
            await until_settled(made)
        except (CommandError, ConnectionError):
            pass  # it died; what wasn't acknowledged is submitted again
        if steps == 1 << 30:
            break
        await made.bury()
    check(made, acknowledged)
    await made.bury()


async def until_settled(made: MortalBench) -> None:
    """All batch jobs ended and the service runs; raises ConnectionError when the core dies."""
    engine = made.running.engine
    watcher = engine.feed.join()
    try:
        async with asyncio.timeout(WITHIN_S):
            while True:
                live = list(engine.snapshot.jobs.values())
                settled = all(job.type == "service" and job.state == "running" for job in live)
                if live and settled and not due(made):
                    return
                await watcher.changed()
                watcher.take()
    except TimeoutError:
        raise AssertionError(f"never settled\n{picture(engine.snapshot)}") from None
    finally:
        engine.feed.leave(watcher)


def due(made: Bench) -> list[str]:
    """Results that a box still holds because nobody acknowledged them."""
    return [
        key
        for node in made.fleet.nodes.values()
        for key, record in node.records.items()
        if record.state in ("ended", "lost")
    ]


def check(made: Bench, acknowledged: list[str]) -> None:
    snapshot = made.snapshot
    runs: Counter[str] = Counter()
    for attempt, count in made.fleet.runs.items():
        runs[attempt.split(".")[0]] += count
    jobs = {**snapshot.jobs, **snapshot.recent}
    for key in acknowledged:
        assert key in jobs, f"{key} was acknowledged and is gone"
    for key, job in jobs.items():
        assert runs[key] == 1, f"{key} ran {runs[key]} times\n{picture(snapshot)}"
        if job.type == "batch":
            attempts = [it for it in snapshot.attempts.values() if it.task.job == key]
            ended = [it for it in attempts if it.why not in ("never", "refused")]
            assert [it.exit_code for it in ended] == [int(job.name[4:])]
    live = [it for it in snapshot.attempts.values() if it.state is AttemptState.RUNNING]
    assert sorted(it.id for it in live) == sorted(
        key for node in made.fleet.nodes.values() for key in node.running
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=6))
def test_every_job_runs_exactly_once_whenever_the_core_dies(fuses: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder), fuses))


@pytest.mark.parametrize("step", range(1, 31))
def test_a_death_at_each_single_step(step: int, tmp_path: Path) -> None:
    asyncio.run(scene(tmp_path, [step]))


async def test_a_stop_that_was_acknowledged_happens_whenever_the_core_dies(tmp_path: Path) -> None:
    for step in range(1, 12):
        node = FakeNode("n1")
        made = MortalBench(tmp_path / str(step), inventory("n1"), MortalFleet(node))
        (tmp_path / str(step)).mkdir()
        await made.live(1 << 30)
        await made.ready()
        (job,) = await made.submit("name: long\nrun: sleep\n")
        await made.until(running(job))
        assert isinstance(made.fleet, MortalFleet)
        made.fleet.fuse.left = step
        try:
            await made.running.client().call(c.Stop((job,)))
            acknowledged = True
        except CommandError:
            acknowledged = False
        await made.bury()
        await made.live(1 << 30)
        if not acknowledged and made.snapshot.jobs[job].stop is None:
            await made.bury()
            continue
        await made.until(lambda s: not s.jobs)
        assert node.stops
        assert node.runs == {f"{job}.0.1": 1}
        await made.bury()
