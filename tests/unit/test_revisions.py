"""The specs that a job has had: written down when a second one comes, told with what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import CommandError, ListEvents, Revisions
from flextui.core.model.inventory import Inventory
from flextui.core.model.revisions import change_text
from tests.unit.core_kit import Bench, bench
from tests.unit.fake_fleet import FakeNode

FLEET = Inventory.model_validate({"nodes": [{"host": "n1"}]})


def service(**env: str) -> str:
    lines = "".join(f"\n  {key}: '{value}'" for key, value in env.items())
    return f"name: api\ntype: service\nrun: serve\nenv:{lines or ' {}'}\n"


async def asked(it: Bench, job: str) -> list[dict[str, Any]]:
    answer = await it.running.client().call(Revisions(job))
    found: list[dict[str, Any]] = answer["revisions"]
    return found


async def test_a_service_tells_each_of_its_specs_and_what_it_changed(tmp_path: Path) -> None:
    async with bench(tmp_path, FLEET, FakeNode("n1")) as it:
        await it.submit(service(LR="0.1"))
        (only,) = await asked(it, "api")
        assert (only["revision"], only["diff"], only["state"] != "") == (1, [], True)
        await it.submit(service(LR="0.05"))
        await it.submit(service(LR="0.05", DEBUG="1"))
        third, second, first = await asked(it, "api")
        assert [change_text(row) for row in second["diff"]] == ["env.LR: 0.1 → 0.05"]
        assert [change_text(row) for row in third["diff"]] == ["env.DEBUG: – → 1"]
        assert (first["state"], second["state"]) == ("", "")
        assert first["spec"]["env"] == {"LR": "0.1"}
        assert first["at"] is not None
        assert second["at"] is not None
        await it.stop()
        await it.start()
        assert [row["revision"] for row in await asked(it, "api")] == [3, 2, 1]


async def test_a_batch_job_is_compared_with_the_runs_of_its_name(tmp_path: Path) -> None:
    async with bench(tmp_path, FLEET, FakeNode("n1")) as it:
        (one,) = await it.submit("name: train\nrun: train --lr 0.1\n")
        (two,) = await it.submit("name: train\nrun: train --lr 0.2\n")
        newer, older = await asked(it, "train")
        assert (newer["id"], older["id"]) == (two, one)
        assert [row["field"] for row in newer["diff"]] == ["run"]


async def test_a_job_that_isnt_there_has_no_revisions(tmp_path: Path) -> None:
    async with bench(tmp_path, FLEET, FakeNode("n1")) as it:
        with pytest.raises(CommandError, match="there is no job"):
            await asked(it, "nobody")


async def test_the_audit_tells_what_people_did(tmp_path: Path) -> None:
    async with bench(tmp_path, FLEET, FakeNode("n1")) as it:
        await it.submit("name: train\nrun: train\n")
        client = it.running.client()
        await it.until(lambda s: s.attempts)
        everything = (await client.call(ListEvents()))["events"]
        audit = (await client.call(ListEvents(audit=True)))["events"]
        assert {row["actor"] for row in everything} > {row["actor"] for row in audit}
        assert [row["kind"] for row in audit] == ["job.submitted"]
        mine = (await client.call(ListEvents(actor=audit[0]["actor"])))["events"]
        assert mine == audit
        of_node = (await client.call(ListEvents(node="n1")))["events"]
        assert {row["node"] for row in of_node} == {"n1"}
