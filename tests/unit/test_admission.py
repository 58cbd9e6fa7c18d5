"""What is refused when it is handed in: at its place in the file, with what would be taken."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from flextui.core.commands import CommandError, ListNodes, Plan, Scale, Source, Submit
from flextui.core.model.state import Identity
from tests.unit.core_kit import Bench, ManualClock, bench, running
from tests.unit.fake_fleet import FakeNode, gpu, inventory

BOB = Identity("bob", 1001)
CAROL = Identity("carol", 1002, ("users", "vision"))
EVE = Identity("eve", 1003)
ROOT = Identity("root", 0)
NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z

SETTINGS: dict[str, Any] = {
    "projects": {
        "vision": {
            "members": ["bob", "group:vision"],
            "quota": {"gpus": 3, "gpu_hours": "100/7d", "jobs": 2},
        },
        "speech": {"members": ["eve"]},
    },
    "users": {"quotas": {"eve": {"gpus": 1.5, "jobs": 1}}},
    "volumes": {
        "data": {"path": "/data", "nodes": ["n1"]},
        "home": {"path": "/home", "shared": True},
    },
    "policy": {"interactive_limit": "2h"},
}


def fleet(tmp_path: Path) -> AbstractAsyncContextManager[Bench]:
    """Nodes of 8 CPUs and 64 GiB: n1 with 4 A100 of 80 GiB, n2 without a GPU, n3 with 2 A100."""
    gpus = tuple(gpu(f"G{index}", index % 4) for index in range(6))
    nodes = FakeNode("n1", gpus=gpus[:4]), FakeNode("n2"), FakeNode("n3", gpus=gpus[4:])
    return bench(tmp_path, inventory("n1", "n2", "n3", **SETTINGS), *nodes, clock=ManualClock())


async def submitted(made: Bench, text: str, who: Identity = BOB) -> list[str]:
    answer = await made.running.client_for(who).call(Submit((Source("job.yaml", text),)))
    return [job["id"] for job in answer["jobs"]]


async def refusal(made: Bench, text: str, who: Identity = BOB) -> CommandError:
    with pytest.raises(CommandError) as caught:
        await submitted(made, text, who)
    assert made.snapshot.jobs == {}
    return caught.value


JOB = "name: a\nrun: sleep\n"
GPUS = JOB + "resources: {{gpus: {}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            JOB + "project: visoin",
            "3:10: there is no project 'visoin'; expected one of speech, vision; did you mean 'vis",
        ),
        (
            JOB + "deadline: 2023-11-14T22:00:00Z",
            "3:11: the deadline 2023-11-14T22:00:00+00:00 has passed; expected a time later than n",
        ),
        (
            JOB + "begin: 2h\ndeadline: 2023-11-15T00:00:00Z",
            "4:11: the deadline isn't later than begin; expected a time later than 2023-11-1",
        ),
        (
            JOB + "volumes: [home, dat]",
            "3:17: there is no volume 'dat'; expected one of data, home; did you mean 'data'?",
        ),
        (
            JOB + "volumes: ['data:/mnt/data:ro']",
            "3:11: a mount point of its own is not supported yet: a process sees the node's files; "
            "expected data, or data:/data",
        ),
        (
            GPUS.format(4) + "project: vision",
            "3:19: 4 GPUs at once are more than the 3 that the project vision may have; "
            "expected gpus: 3 or less",
        ),
        (
            GPUS.format(2) + "project: vision\nnodes: 2",
            "5:8: 4 GPUs at once are more than the 3 that the project vision may have; "
            "expected nodes: 1 or less",
        ),
        (
            GPUS.format(1) + "project: vision\ntype: service\ncount: 5",
            "6:8: 5 GPUs at once are more than the 3 that the project vision may have; "
            "expected count: 3 or less",
        ),
        (
            GPUS.format(2) + "project: vision\ntime_limit: 60h",
            "5:13: 2 GPUs for 2d12h are 120 GPU hours, more than the 100/7d that the "
            "project vision may use; expected time_limit: 2d2h or less",
        ),
        (
            GPUS.format(8),
            "3:19: needs 8 GPUs: no node could ever hold it; expected gpus: 4 (n1)",
        ),
        (
            JOB + "resources: {cpus: 32}",
            "3:19: needs 32 CPUs: no node could ever hold it; expected cpus: 8 (n1)",
        ),
        (
            JOB + "resources: {memory: 1TiB}",
            "no node could ever hold it; expected memory: 64GiB (n1)",
        ),
        (
            JOB + "resources: {gpus: 1, gpu_model: h100}",
            "3:33: needs 1 h100 GPU: no node could ever hold it; expected another gpu_model (n1)",
        ),
        (
            JOB + "resources: {gpus: 1, gpu_memory: 100GiB}",
            "3:34: needs 1 GPU of 100GiB: no node could ever hold it; expected gpu_memory: 80GiB",
        ),
        (
            JOB + "resources: {gpus: 1}\nwhere: {node: n2}",
            "no node could ever hold it; expected without where (n1)",
        ),
        (
            GPUS.format(1) + "nodes: 3",
            "4:8: needs 3 nodes with 1 GPU each: no more than 2 could ever hold that; "
            "expected nodes: 2",
        ),
        (
            JOB + "resources: {cpus: 32, memory: 1TiB}",
            "3:19: needs 32 CPUs and 1TiB: no node could ever hold it; expected cpus: 8, memory: 6",
        ),
    ],
)
async def test_what_could_never_run_is_refused_at_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    async with fleet(tmp_path) as made:
        error = await refusal(made, text)
        assert error.code == "input"
        assert problem in str(error)
        (told,) = error.problems
        assert told["file"] == "job.yaml"


async def test_the_second_of_a_file_is_refused_in_its_own_line_and_none_is_kept(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as made:
        error = await refusal(made, f"{JOB}---\nname: b\nrun: sleep\nproject: nothing\n")
        assert str(error).startswith("job.yaml:6:10: there is no project 'nothing'")


async def test_projects_are_for_their_members_and_for_admins(tmp_path: Path) -> None:
    text = JOB + "project: vision\n"
    async with fleet(tmp_path) as made:
        error = await refusal(made, text, EVE)
        assert error.code == "permission"
        assert "3:10: eve is no member of the project 'vision'; expected one of speech" in str(
            error
        )
        for who in (BOB, CAROL):
            (job,) = await submitted(made, text, who)
            assert made.snapshot.jobs[job].project == "vision"
            assert made.snapshot.jobs[job].groups == who.groups
        error_of_third = await _error(made, text, ROOT)
        assert "the project vision has 2 jobs of 2" in error_of_third
        (job,) = await submitted(made, JOB + "project: speech\n", ROOT)
        assert made.snapshot.jobs[job].project == "speech"


async def _error(made: Bench, text: str, who: Identity) -> str:
    with pytest.raises(CommandError) as caught:
        await submitted(made, text, who)
    return str(caught.value)


async def test_no_project_is_guessed(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        (job,) = await submitted(made, JOB, BOB)
        assert made.snapshot.jobs[job].project == ""


async def test_a_quota_of_jobs_counts_those_that_live(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        (job,) = await submitted(made, JOB, EVE)
        assert "eve has 1 jobs of 1 that may wait or run at once" in await _error(made, JOB, EVE)
        await made.until(running(job))
        attempt = made.attempt(f"{job}.0.1")
        made.fleet.nodes[attempt.node].end(attempt.id)
        await made.until(lambda s: not s.jobs)
        await submitted(made, JOB, EVE)


async def test_a_new_revision_is_no_further_job(tmp_path: Path) -> None:
    text = "name: web\ntype: service\nrun: {}\n"
    async with fleet(tmp_path) as made:
        (first,) = await submitted(made, text.format("sleep"), EVE)
        (again,) = await submitted(made, text.format("nap"), EVE)
        assert first == again


async def test_a_part_of_a_gpu_counts_as_its_part(tmp_path: Path) -> None:
    text = "name: a\ntype: service\nrun: sleep\ncount: {}\nresources: {{gpus: 1}}\n"
    async with fleet(tmp_path) as made:
        assert "2 GPUs at once are more than the 1.5 that eve may have" in await _error(
            made, text.format(2), EVE
        )
        (job,) = await submitted(made, text.format(1), EVE)
        with pytest.raises(CommandError, match="2 GPUs at once are more than"):
            await made.running.client_for(EVE).call(Scale("a", 2))
        assert made.snapshot.jobs[job].count == 1


async def test_times_are_counted_from_submission(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        (job,) = await submitted(made, JOB + "begin: 30m\ndeadline: 4h\n")
        assert made.snapshot.jobs[job].begin_at == NOW + 1800
        assert made.snapshot.jobs[job].deadline_at == NOW + 14_400
        (job,) = await submitted(made, JOB + "deadline: 2023-11-15T00:00:00+01:00\n")
        assert made.snapshot.jobs[job].deadline_at == NOW + 2800
        assert made.snapshot.jobs[job].begin_at is None


async def test_an_interactive_job_gets_the_fleets_limit(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        (job,) = await submitted(made, JOB + "interactive: true\n")
        assert made.snapshot.jobs[job].spec.time_limit == 7200.0
        (job,) = await submitted(made, JOB + "interactive: true\ntime_limit: 10h\n")
        assert made.snapshot.jobs[job].spec.time_limit == 36_000.0


@pytest.mark.parametrize(("volume", "then"), [("data", "wait"), ("home", "reschedule")])
async def test_a_job_waits_for_the_node_that_alone_has_its_data(
    tmp_path: Path, volume: str, then: str
) -> None:
    text = f"name: a\ntype: service\nrun: sleep\nvolumes: [{volume}]\non_node_loss: {{fence: true}}"
    async with fleet(tmp_path) as made:
        (job,) = await submitted(made, text)
        loss = made.snapshot.jobs[job].spec.on_node_loss
        assert (loss.then, loss.fence) == (then, then == "reschedule")


async def test_what_an_unseen_node_may_hold_is_taken(tmp_path: Path) -> None:
    unseen = FakeNode("n2", reachable=False)
    async with bench(tmp_path, inventory("n1", "n2"), FakeNode("n1"), unseen) as made:
        (job,) = await submitted(made, GPUS.format(8))
        assert job in made.snapshot.jobs
        assert "no node could ever hold it" in await _error(
            made, GPUS.format(8) + "where: {node: n1}", BOB
        )


async def test_a_plan_says_what_submitting_would_refuse(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        client = made.running.client_for(BOB)
        (job,) = (await client.call(Plan((Source("job.yaml", GPUS.format(8)),))))["jobs"]
        assert any("would be refused: needs 8 GPUs" in it for it in job["warnings"])
        with pytest.raises(CommandError, match="there is no project 'x'"):
            await client.call(Plan((Source("job.yaml", JOB + "project: x"),)))
        assert made.snapshot.jobs == {}


async def test_a_gpu_that_the_inventory_leaves_out_isnt_told_as_free(tmp_path: Path) -> None:
    node = FakeNode("n1", gpus=(gpu("G0", 0), gpu("G1", 1)))
    left = {"nodes": [{"name": "n1", "host": "n1", "gpus": {"only": [1]}}]}
    async with bench(tmp_path, inventory("n1", **left), node) as made:
        client = made.running.client_for(BOB)
        answer = await client.call(ListNodes())
        first, second = answer["nodes"][0]["gpus"]
        assert (first["state"], first["reason"]) == ("cordoned", "left out by the inventory")
        assert (first["cordoned"], second["state"]) == (False, "free")
        assert answer["fleet"]["gpus_total"] == 1


async def test_all_that_speaks_against_a_file_is_told_at_once(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        text = f"{JOB}project: visoin\n---\nname: fine\nrun: sleep\n---\nname: v\nrun: sleep\n"
        text += "volumes: [dat]\n---\nname: big\nrun: sleep\nresources: {gpus: 9}\n"
        refused = await refusal(made, text)
        assert [it["line"] for it in refused.problems] == [3, 10, 14]
        assert refused.code == "input"
        theirs = f"{JOB}project: speech\n---\nname: b\nrun: sleep\nproject: speech\n"
        refused = await refusal(made, theirs)
        assert (refused.code, len(refused.problems)) == ("permission", 2)


async def test_a_plan_of_several_is_of_all_of_them_together(tmp_path: Path) -> None:
    def job(name: str, gpus: int, more: str = "") -> str:
        return f"name: {name}\nrun: sleep\nresources: {{gpus: {gpus}}}\n{more}"

    node = FakeNode("n1", gpus=(gpu("G0", 0), gpu("G1", 1)))
    quota = {"users": {"quotas": {"bob": {"jobs": 2}}}}
    async with bench(tmp_path, inventory("n1", **quota), node) as made:
        client = made.running.client_for(BOB)
        text = "---\n".join([job("one", 1), job("two", 2), job("first", 1, "priority: 90\n")])
        told = await client.call(Plan((Source("a.yaml", text), Source("b.yaml", job("more", 1)))))
        tasks = {it["name"]: it["tasks"][0] for it in told["jobs"]}
        assert list(tasks) == ["one", "two", "first", "more"]
        assert sorted([*tasks["one"]["gpu_uuids"], *tasks["first"]["gpu_uuids"]]) == ["G0", "G1"]
        for waits in ("two", "more"):
            assert tasks[waits]["node"] is None
            held = {it for block in tasks[waits]["why"]["blocks"] for it in block["held_by"]}
            assert {"bob/one", "bob/first"} <= held, waits
        refused = {it["name"] for it in told["jobs"] if it["warnings"]}
        assert refused == {"first", "more"}  # one and two are the two that bob may have
        assert made.snapshot.jobs == {}


async def test_a_plan_refuses_what_submitting_would_at_its_place(tmp_path: Path) -> None:
    async with fleet(tmp_path) as made:
        client = made.running.client_for(BOB)
        await submitted(made, "name: web\ntype: service\nrun: sleep\n", BOB)
        text = f"{JOB}---\nname: web\nrun: sleep\n"
        with pytest.raises(
            CommandError, match=r"a\.yaml:\d+:\d+: web is a live service"
        ) as refused:
            await client.call(Plan((Source("a.yaml", text),)))
        assert refused.value.problems[0]["line"] > JOB.count("\n")
