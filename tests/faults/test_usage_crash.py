"""kill -9 in the middle of an hour, at any commit: what was held is told to the second."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.core.adapters.store_read import StoreReader
from flextui.core.model.state import GpuProcess
from flextui.core.model.usage import UsageQuery
from tests.faults.test_core_crash import Killed, MortalBench, MortalFleet
from tests.unit.core_kit import ManualClock, running, state_of
from tests.unit.fake_fleet import GIB, FakeNode, gpu, inventory

HOUR = 3600.0
START = 500_000 * HOUR
JOB = "name: train\nrun: sleep\nresources: {gpus: 2}\n"
NEVER = 1 << 30


def told(folder: Path, now: float) -> tuple[float, float]:
    """GPU-seconds held and idle, as the store alone says."""
    reader = StoreReader.open(folder / "state")
    rows = reader.usage(UsageQuery("job", int(START // HOUR), int(now // HOUR)), now)
    reader.close()
    return sum(it.used.held_s for it in rows), sum(it.used.idle_s for it in rows)


async def scene(folder: Path, minutes: list[int], fuses: list[int]) -> None:
    """A job runs for hours; the core dies after so many commits, and is away for a while."""
    node = FakeNode("n1", gpus=(gpu("G1"), gpu("G2", 1)))
    clock = ManualClock(wall=START + 1234.0)
    made = MortalBench(folder, inventory("n1"), MortalFleet(node), clock)
    await made.live(NEVER)
    await made.ready()
    (job,) = await made.submit(JOB)
    await made.until(running(job))
    placed_at = made.attempt(f"{job}.0.1").placed_at
    process = GpuProcess(7, "lab", "python", "python", GIB, f"{job}.0.1")
    gpus = tuple(replace(it, processes=(process,), utilization=0) for it in node.gpus)
    idle_most = 0.0
    for stay, fuse in zip(minutes, fuses, strict=True):
        made.fleet.fuse.left = fuse  # type: ignore[attr-defined]
        made.running.engine.store.fuse = made.fleet.fuse  # type: ignore[attr-defined]
        try:
            for _ in range(stay * 6):
                clock.advance(10)
                node.sample(gpus)
                await made.turn()
        except (Killed, Exception):
            await made.running.engine.ended.wait()
        await made.bury()
        idle_most += 2 * stay * 60
        clock.advance(777)
        held, idle = told(folder, clock.wall)
        assert held == pytest.approx(2 * (clock.wall - placed_at))
        assert 0 <= idle <= min(held, idle_most)
        await made.live(NEVER)
        await made.until(running(job))
        (account,) = made.snapshot.accounts.values()
        assert (account.gpus, account.at) == (2000, clock.wall)
    node.end(f"{job}.0.1")
    await made.until(lambda s: state_of(s, job) == "succeeded")
    held, idle = told(folder, clock.wall + 9999)
    assert held == pytest.approx(2 * (clock.wall - placed_at))
    await made.bury()
    with sqlite3.connect(folder / "state" / "flextui.db") as db:
        assert db.execute("SELECT count(*) FROM meters").fetchone() == (0,)
    db.close()


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=3).map(
        lambda pairs: ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    )
)
def test_what_was_held_is_exact_whenever_a_core_dies(plan: tuple[list[int], list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scene(Path(folder), *plan))


async def test_idle_time_misses_the_last_minutes_at_most(tmp_path: Path) -> None:
    await scene(tmp_path, [65, 65], [NEVER, NEVER])
    _, idle = told(tmp_path, START + 10 * HOUR)
    assert idle == pytest.approx(2 * 130 * 60, abs=2 * (2 * 300 + 60))
