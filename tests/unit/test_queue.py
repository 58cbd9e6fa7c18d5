"""`queue`, `why` and `plan` asked of a whole core."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

from flextui.core.commands import ListQueue, Plan, Source, Why
from flextui.core.leisure import Leisure
from flextui.core.model.inventory import Inventory, NodeSpec
from tests.unit.core_kit import bench, running
from tests.unit.fake_fleet import FakeNode

FLEET = Inventory(nodes=(NodeSpec(name="n1", host="n1"),))
HOG = "name: hog\nrun: sleep\ntime_limit: 1h\ngrace: 0\nresources: {cpus: 8}\n"
LATER = "name: later\nrun: sleep\nresources: {cpus: 8}\n"
SMALL = "name: small\nrun: sleep\nresources: {cpus: 2}\n"


def test_a_core_tells_who_waits_and_until_when(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench(tmp_path, FLEET, FakeNode("n1")) as made:
            (hog,) = await made.submit(HOG)
            await made.until(running(hog))
            later, small = await made.submit(f"{LATER}---\n{SMALL}")
            await made.until(lambda s: s.jobs[small].reason)
            client = made.running.client()
            answer = await client.call(ListQueue())
            first, second = answer["queue"]
            assert (first["id"], second["id"], answer["waiting"]) == (later, small, 2)
            assert first["asks"] == "8 CPUs"
            assert first["expected"]["sureness"] == "certain"
            assert first["expected"]["at"] == first["expected"]["latest"]
            assert first["factors"][0]["name"] == "priority"
            (why,) = (await client.call(Why("small")))["tasks"]
            assert why["position"] == 2
            assert why["ahead"] == [first["owner"] + "/later"]
            held = {it["code"]: it["held_by"] for it in why["blocks"]}
            assert held["cpus"] == [first["owner"] + "/hog"]
            assert held["order"] == [first["owner"] + "/later"]
            (plan,) = (await client.call(Plan((Source("job.yaml", SMALL),))))["jobs"]
            (task,) = plan["tasks"]
            assert task["node"] is None
            assert task["reason"] == why["summary"]
            assert task["why"]["position"] == 3

    asyncio.run(main())


def test_equal_questions_at_the_same_time_are_worked_on_one_after_the_other() -> None:
    busy: list[int] = []

    def steps(number: int) -> Generator[None, None, dict[str, Any]]:
        for _ in range(3):
            busy.append(number)
            yield
        return {"number": number}

    async def main() -> None:
        leisure = Leisure()
        answers = await asyncio.gather(
            leisure.answer("a", lambda: steps(1)), leisure.answer("b", lambda: steps(2))
        )
        assert [it["number"] for it in answers] == [1, 2]
        assert busy == [1, 1, 1, 2, 2, 2]
        assert await leisure.answer("a", lambda: steps(3)) == {"number": 3}, "it was quick"

    asyncio.run(main())
