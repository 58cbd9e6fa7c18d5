"""Editing what lives: what starts anew, what runs on, and who may change what under whom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core.commands import CommandError, Plan, Revise, Source
from flextui.core.model.change import spec_diff
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity
from tests.unit.core_kit import Bench, bench, running, state_of
from tests.unit.fake_fleet import FakeNode, gpu, inventory

ALICE, BOB = Identity("alice", 1001, ("vision",)), Identity("bob", 1002)
TRAIN = "name: train\nrun: sleep 60\nenv: {LR: '0.1'}\nresources: {gpus: 1}\n"
WEB = "name: web\ntype: service\ncount: 2\nrun: serve\nresources: {cpus: 1}\n"


def effects(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    both = [JobSpec.from_json({"name": "a", "run": "x", **it}) for it in (old, new)]
    return {row["field"]: row["effect"] for row in spec_diff(*both)}


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ({}, {"run": "y"}, {"run": "restart"}),
        ({}, {"env": {"LR": "1"}}, {"env.LR": "restart"}),
        ({}, {"resources": {"cpus": 2}}, {"resources.cpus": "restart"}),
        ({}, {"priority": 60, "grace": "5s"}, {"priority": "now", "grace": "now"}),
        ({}, {"where": {"rack": "a"}}, {"where.rack": "move"}),
        ({}, {"where": {"node": ["n1"]}}, {"where.node": "move"}),
        ({}, {"where": {"placement": "spread"}}, {"where.placement": "next"}),
        ({}, {"where": {"prefer": {"rack": "a"}}}, {"where.prefer.rack": "next"}),
        ({}, {"time_limit": "1h"}, {"time_limit": "restart"}),
        ({}, {"restart": {"on": "failure"}}, {"restart.on": "now"}),
    ],
)
def test_what_a_field_does_to_tasks_that_run(
    old: dict[str, Any], new: dict[str, Any], wanted: dict[str, str]
) -> None:
    assert effects(old, new) == wanted


def test_under_a_fence_the_node_counts_with_the_grace_that_it_was_given() -> None:
    fenced = {"type": "service", "on_node_loss": {"fence": True}}
    assert effects(fenced, {**fenced, "grace": "1s"}) == {"grace": "restart"}
    assert effects({"type": "service"}, fenced) == {"on_node_loss.fence": "restart"}


async def one(made: Bench, text: str, who: Identity = ALICE) -> str:
    answer = await made.running.client_for(who).call(c.Submit((Source("a", text),)))
    job = str(answer["jobs"][0]["id"])
    await made.until(running(job))
    return job


async def revised(
    made: Bench, job: str, text: str, who: Identity = ALICE, base: int = 0
) -> dict[str, Any]:
    return await made.running.client_for(who).call(Revise(job, Source("editor", text), base))


async def refusal(*args: Any, **more: Any) -> CommandError:
    with pytest.raises(CommandError) as caught:
        await revised(*args, **more)
    return caught.value


def two() -> tuple[FakeNode, FakeNode]:
    return (
        FakeNode("n1", gpus=(gpu("G0", 0), gpu("G1", 1))),
        FakeNode("n2", gpus=(gpu("G2", 0), gpu("G3", 1))),
    )


async def test_what_a_batch_task_was_started_with_starts_it_anew(tmp_path: Path) -> None:
    nodes = two()
    async with bench(tmp_path, inventory("n1", "n2"), *nodes) as made:
        job = await one(made, TRAIN)
        answer = await revised(made, job, TRAIN.replace("0.1", "0.05"), base=1)
        assert (answer["action"], answer["restarts"]) == ("revised", [0])
        assert (answer["job"]["id"], answer["job"]["revision"]) == (job, 2)
        await made.until(lambda s: f"{job}.0.2" in s.attempts and running(job)(s))
        assert made.attempt(f"{job}.0.1").stop.why == "revision 2: env.LR"  # type: ignore[union-attr]
        starts = {key: it for node in nodes for key, it in node.starts.items()}
        assert starts[f"{job}.0.2"].env["LR"] == "0.05"
        assert made.attempt(f"{job}.0.2").revision == 2


async def test_what_the_core_heeds_itself_restarts_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, WEB)
        await made.until(running(job, 1))
        answer = await revised(made, job, WEB + "priority: 70\ngrace: 3s\n")
        assert (answer["job"]["revision"], answer["restarts"]) == (2, [])
        await made.turn()
        live = [it for it in made.snapshot.attempts.values() if it.state.live]
        assert [(it.number, it.revision, it.stop) for it in live] == [(1, 2, None), (1, 2, None)]
        again = await revised(made, job, WEB + "priority: 70\ngrace: 3s\n")
        assert (again["action"], again["job"]["revision"]) == ("unchanged", 2)


@pytest.mark.parametrize(("text", "tasks"), [(WEB, (0, 1)), (TRAIN, (0,))])
async def test_a_second_change_takes_no_restart_back_that_the_first_one_owes(
    tmp_path: Path, text: str, tasks: tuple[int, ...]
) -> None:
    nodes = two()
    async with bench(tmp_path, inventory("n1", "n2"), *nodes) as made:
        job = await one(made, text)
        await made.until(running(job, tasks[-1]))
        changed = text.replace("env: {LR: '0.1'}\n", "") + "env: {LR: '0.05'}\n"
        _, second = await asyncio.gather(
            revised(made, job, changed), revised(made, job, changed + "priority: 70\n")
        )
        assert second["restarts"] == list(tasks)
        for at in tasks:
            await made.until(lambda s, at=at: f"{job}.{at}.2" in s.attempts and running(job, at)(s))
        starts = {key: it for node in nodes for key, it in node.starts.items()}
        for at in tasks:
            assert starts[f"{job}.{at}.2"].env["LR"] == "0.05"
            assert made.attempt(f"{job}.{at}.1").revision == 1


async def test_only_tasks_whose_node_is_no_longer_allowed_move(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, WEB)
        await made.until(running(job, 1))
        on = {it.task.index: it.node for it in made.snapshot.attempts.values()}
        (off,) = [index for index, name in on.items() if name == "n2"]
        answer = await revised(made, job, WEB + "where: {node: n1}\n")
        assert answer["restarts"] == [off]
        await made.until(lambda s: f"{job}.{off}.2" in s.attempts and running(job, off)(s))
        assert made.attempt(f"{job}.{off}.2").node == "n1"
        assert made.attempt(f"{job}.{1 - off}.1").state.live


async def test_submitting_a_service_anew_restarts_only_what_has_to(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, WEB)
        await made.until(running(job, 1))
        await one(made, WEB.replace("count: 2", "count: 3"))
        await made.until(running(job, 2))
        assert {it.number for it in made.snapshot.attempts.values()} == {1}


async def test_a_scale_meanwhile_is_no_change_of_the_text(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, WEB)
        await made.running.client_for(ALICE).call(c.Scale("web", 1))
        rows = (await revised(made, job, WEB))["diff"]
        assert rows == [{"field": "count", "old": 1, "new": 2, "effect": "now"}]


async def test_who_wrote_from_an_older_revision_is_told(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, TRAIN)
        await revised(made, job, TRAIN + "priority: 60\n", base=1)
        error = await refusal(made, job, TRAIN + "priority: 40\n", base=1)
        assert (error.code, made.snapshot.jobs[job].priority) == ("failed", 60)
        assert "is at revision 2 by now, and this was written from revision 1" in error.text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (TRAIN.replace("train", "other"), "editor:1:7: "),
        (TRAIN + "type: service\n", "editor:5:7: "),
        (TRAIN + "nodes: 2\n", "editor:5:8: "),
        (TRAIN.replace("gpus: 1", "gpus: 9"), "editor:4:19: "),
        (TRAIN.replace("gpus: 1", "gpu: 1"), "editor:4:13: "),
    ],
)
async def test_what_a_job_cannot_become_is_told_at_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, TRAIN)
        error = await refusal(made, job, text)
        assert error.code == "input"
        assert error.problems[0]["line"] == int(place.split(":")[1])
        assert str(error.text).startswith(place)
        assert made.snapshot.jobs[job].revision == 1


async def test_only_ones_own_jobs_and_an_admin_leaves_them_their_owner(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, TRAIN)
        assert (await refusal(made, job, TRAIN, BOB)).code == "permission"
        await revised(made, job, TRAIN + "priority: 60\n", Identity("root", 0, ("wheel",)))
        it = made.snapshot.jobs[job]
        assert (it.owner, it.groups, it.revision) == ("alice", ("vision",), 2)
        past = await made.running.client_for(BOB).call(c.Revisions(job))
        assert [(it["revision"], it["by"]) for it in past["revisions"]] == [
            (2, "root"),
            (1, "alice"),
        ]


async def test_what_has_ended_is_to_be_submitted(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, TRAIN)
        await made.running.client_for(ALICE).call(c.Stop((job,)))
        await made.until(lambda s: state_of(s, job) == "stopped")
        assert "submit the text" in (await refusal(made, job, TRAIN)).text


async def test_the_ranks_of_a_gang_start_anew_together(tmp_path: Path) -> None:
    nodes = two()
    async with bench(tmp_path, inventory("n1", "n2"), *nodes) as made:
        job = await one(made, TRAIN + "nodes: 2\n")
        await made.until(running(job, 1))
        text = TRAIN.replace("0.1", "0.05") + "nodes: 2\n"
        assert (await revised(made, job, text))["restarts"] == [0, 1]
        await made.until(
            lambda s: all(f"{job}.{n}.2" in s.attempts and running(job, n)(s) for n in (0, 1))
        )
        live = [it for it in made.snapshot.attempts.values() if it.state.live]
        assert len({it.gang for it in live}) == 1
        assert [(it.number, it.revision) for it in live] == [(2, 2), (2, 2)]
        starts = {key: it for node in nodes for key, it in node.starts.items()}
        assert {starts[f"{job}.{n}.2"].env["LR"] for n in (0, 1)} == {"0.05"}


async def test_a_revision_survives_the_core(tmp_path: Path) -> None:
    nodes = two()
    async with bench(tmp_path, inventory("n1", "n2"), *nodes) as made:
        job = await one(made, WEB)
        await made.until(running(job, 1))
        await revised(made, job, WEB + "grace: 3s\n")
        await made.stop()
        await made.start()
        await made.until(lambda s: running(job)(s) and running(job, 1)(s))
        assert made.snapshot.jobs[job].spec.grace == 3.0
        assert {it.number for it in made.snapshot.attempts.values()} == {1}
        past = await made.running.client_for(ALICE).call(c.Revisions(job))
        assert [it["revision"] for it in past["revisions"]] == [2, 1]
        assert past["revisions"][0]["diff"][0]["field"] == "grace"


async def test_a_pending_job_changes_in_place(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        client = made.running.client_for(ALICE)
        root = made.running.client_for(Identity("root", 0))
        await root.call(c.Cordon("n1"))
        await root.call(c.Cordon("n2"))
        answer = await client.call(c.Submit((Source("a", TRAIN),)))
        job = answer["jobs"][0]["id"]
        told = await revised(made, job, TRAIN.replace("gpus: 1", "gpus: 2"))
        assert told["restarts"] == []
        await root.call(c.Cordon("n2", on=False))
        await made.until(running(job))
        assert len(made.attempt(f"{job}.0.1").gpus) == 2


# ── the plan tells what the edit does ──────────────────────────────────────────────────────────


async def planned(made: Bench, text: str, job: str | None) -> dict[str, Any]:
    client = made.running.client_for(ALICE)
    answer = await client.call(Plan((Source("editor", text),), job))
    return dict(answer["jobs"][0])


async def test_a_plan_of_an_edit_tells_what_stays_and_what_restarts_where(tmp_path: Path) -> None:
    async with bench(tmp_path, inventory("n1", "n2"), *two()) as made:
        job = await one(made, WEB)
        await made.until(running(job, 1))
        kept = await planned(made, WEB + "grace: 1s\n", job)
        assert (kept["action"], kept["revision"], kept["to"]) == ("revise", 1, 2)
        assert [it["stays"] for it in kept["tasks"]] == [True, True]
        anew = await planned(made, WEB.replace("serve", "serve2"), job)
        assert [it["restarts"] for it in anew["tasks"]] == [["run"], ["run"]]
        assert {it["node"] for it in anew["tasks"]} == {"n1", "n2"}
        fewer = await planned(made, WEB.replace("count: 2", "count: 1"), job)
        assert [it.get("ends", False) for it in fewer["tasks"]] == [False, True]
        same = await planned(made, WEB, job)
        assert (same["action"], same["to"]) == ("unchanged", 1)


async def test_a_plan_of_an_edit_has_the_room_of_what_restarts(tmp_path: Path) -> None:
    node = FakeNode("n1", gpus=(gpu("G0", 0), gpu("G1", 1)))
    async with bench(tmp_path, inventory("n1"), node) as made:
        job = await one(made, TRAIN.replace("gpus: 1", "gpus: 2"))
        told = await planned(made, TRAIN.replace("gpus: 1", "gpus: 2") + "time_limit: 1h\n", job)
        (task,) = told["tasks"]
        assert (task["node"], len(task["gpus"]), task["restarts"]) == ("n1", 2, ["time_limit"])


async def test_a_plan_tells_the_quota_after(tmp_path: Path) -> None:
    quotas = {"users": {"quotas": {"alice": {"gpus": 3}}}}
    async with bench(tmp_path, inventory("n1", "n2", **quotas), *two()) as made:
        job = await one(made, TRAIN)
        new = await planned(made, TRAIN.replace("train", "other"), None)
        assert new["quotas"] == [{"whose": "alice", "gpus": 2.0, "of": 3.0}]
        more = await planned(made, TRAIN.replace("gpus: 1", "gpus: 2"), job)
        assert more["quotas"] == [{"whose": "alice", "gpus": 2.0, "of": 3.0}]
