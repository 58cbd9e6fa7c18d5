"""The real history leaves as a trace and comes back as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from flextui.core.commands import ListJobs, ListNodes
from flextui.core.model.docs import JobDoc
from flextui.core.model.inventory import Inventory
from flextui.core.model.problems import BadInput
from flextui.core.model.spec import JobSpec
from flextui.core.model.times import iso
from flextui.core.simulate.figures import replay_figures
from flextui.core.simulate.formats import read_trace
from flextui.core.simulate.history import boxes_of_nodes, history_lines, read_history
from flextui.core.simulate.replay import Options, Replay
from flextui.core.simulate.trace import Box, BoxGpu, Trace
from tests.unit.core_kit import ManualClock, bench, running
from tests.unit.fake_fleet import GIB, FakeNode, gpu, inventory

BEGAN = 1_700_000_000.0
BOXES = (Box("n1", 8.0, GIB, (BoxGpu("A100", GIB), BoxGpu("A100", GIB)), {"rack": "a"}, True),)


def told(
    number: int,
    submitted: float,
    *attempts: tuple[float, float | None],
    state: str = "succeeded",
    ended: float | None = None,
    owner: str = "ada",
    **spec: Any,
) -> JobDoc:
    """A job as a core tells it; times are seconds since the beginning."""
    made = JobSpec.model_validate({"name": f"job-{number}", "run": "secret --token", **spec})
    last = attempts[-1][1] if attempts else None
    at = {"started_at": None, "ended_at": None}
    rows = [
        {**at, "started_at": iso(BEGAN + start), "ended_at": iso(BEGAN + end) if end else None}
        for start, end in attempts
    ]
    ended = last if ended is None else ended
    doc = {
        "id": f"j{number}", "owner": owner, "groups": ["lab"], "state": state,
        "submitted_at": iso(BEGAN + submitted),
        "ended_at": iso(BEGAN + ended) if ended is not None else None,
        "tasks": [{"index": 0, "attempts": rows}],
        "spec": made.to_json(),
    }  # fmt: skip
    return cast(JobDoc, doc)


def history(*jobs: JobDoc, inventory: Inventory | None = None, now: float = 1000.0) -> list[str]:
    return list(history_lines(jobs, BOXES, inventory, BEGAN + now))


def trace(*jobs: JobDoc, **more: Any) -> Trace:
    return read_history("past", history(*jobs, **more))


# ── what is told ───────────────────────────────────────────────────────────────────────────────


def test_a_job_comes_back_with_what_it_asked_for_and_how_long_it_ran() -> None:
    (job,) = trace(told(1, 5, (15, 115), resources={"gpus": 2}, time_limit="1h")).jobs
    assert (job.at, job.run_s, job.owner, job.groups) == (0.0, 100.0, "ada", ("lab",))
    assert (job.waited_s, job.ended_at) == (10.0, 110.0)
    assert job.spec is not None
    assert (job.spec.resources.gpus, job.spec.time_limit) == (2, 3600.0)


def test_a_run_time_is_the_last_attempts_unless_work_was_kept() -> None:
    again = told(1, 0, (0, 10), (20, 50))
    resumed = told(2, 0, (0, 10), (20, 50), preempt="resume")
    assert [job.run_s for job in trace(again, resumed).jobs] == [30.0, 40.0]


def test_commands_and_environments_are_never_told() -> None:
    text = "\n".join(history(told(1, 0, (0, 1), env={"TOKEN": "hunter2"}, workdir="/home/ada")))
    for word in ("secret", "hunter2", "/home/ada"):
        assert word not in text


def test_nodes_and_what_decides_of_the_inventory_come_back() -> None:
    fleet = Inventory.model_validate(
        {
            "nodes": [{"host": "n1"}],
            "policy": {"queue": "fair-share", "backfill": "conservative"},
            "projects": {"p": {"members": ["ben"], "weight": 2}},
        }
    )
    found = trace(told(1, 0, (0, 1), project="p"), inventory=fleet)
    assert found.boxes == BOXES
    assert found.settings["policy"]["queue"] == "fair-share"
    assert found.settings["projects"]["p"]["weight"] == 2.0


def test_who_was_a_member_of_a_project_may_submit_for_it_again() -> None:
    fleet = Inventory.model_validate(
        {"nodes": [{"host": "n1"}], "projects": {"p": {"members": ["group:gone"], "weight": 2}}}
    )
    past = trace(told(1, 0, (0, 1), project="p"), inventory=fleet)
    figures = replay_figures(Replay(past, past.boxes, Options()).run())
    assert (figures["ended"], figures["refused"]) == (1, 0)
    assert figures["fairness"]["accounts"][0]["weight"] == 2


# ── what is unknown ────────────────────────────────────────────────────────────────────────────


def test_what_never_started_is_left_out_and_what_still_runs_ends_now() -> None:
    found = trace(
        told(1, 0, state="pending"), told(2, 0, (100, None), state="running"), told(3, 0, (0, 1))
    )
    assert [(job.name, job.run_s) for job in found.jobs] == [("job-2", 900.0), ("job-3", 1.0)]
    assert len(found.notes) == 2


def test_a_job_that_was_stopped_while_it_waited_is_stopped_as_late_again() -> None:
    (first, second) = trace(
        told(1, 0, (0, 500)), told(2, 10, state="stopped", ended=60), inventory=None
    ).jobs
    assert first.stopped_at is None
    assert second.stopped_at == 60.0


def test_a_service_lasts_until_it_was_stopped() -> None:
    (job,) = trace(told(1, 10, (12, 400), state="stopped", type="service", count=2)).jobs
    assert (job.run_s, job.stopped_at, job.waited_s) == (float("inf"), 390.0, None)
    past = trace(told(1, 10, (12, 400), state="stopped", type="service", count=2))
    figures = replay_figures(Replay(past, past.boxes, Options()).run())
    assert (figures["ended"], figures["makespan_s"]) == (1, 390.0)


# ── what is wrong ──────────────────────────────────────────────────────────────────────────────


def changed(line: str, **fields: Any) -> str:
    return json.dumps({**json.loads(line), **fields})


@pytest.mark.parametrize(
    ("number", "fields", "text"),
    [
        (0, {"version": 9}, "past:1:1: not a history that this version reads"),
        (0, {"nodes": [{}]}, "past:1:1: the first line isn't whole: gpus is missing"),
        (0, {"inventory": {"policy": {"queue": "lottery"}}}, "policy.queue"),
        (1, {"submitted_at": "soon"}, "past:2:1: not a job: Invalid isoformat string"),
        (1, {"ran_s": -1}, "past:2:1: ran_s or owner is out of range"),
        (1, {"spec": {"name": "?"}}, "past:2:1: not a job: name: "),
    ],
)
def test_a_line_that_is_not_whole_is_told(number: int, fields: dict[str, Any], text: str) -> None:
    lines = history(told(1, 0, (0, 1)))
    lines[number] = changed(lines[number], **fields)
    with pytest.raises(BadInput) as caught:
        read_history("past", lines)
    assert text in str(caught.value)


def test_a_line_that_is_no_json_is_told_with_its_column() -> None:
    with pytest.raises(BadInput) as caught:
        read_history("past", [*history(told(1, 0, (0, 1))), '{"id": }'])
    assert str(caught.value).startswith("past:3:8: not a line of JSON: ")


def test_a_history_without_jobs_is_told() -> None:
    with pytest.raises(BadInput, match="there is no job in it"):
        read_history("past", history())


# ── through a core ─────────────────────────────────────────────────────────────────────────────


async def test_what_a_core_did_replays_as_it_was(tmp_path: Path) -> None:
    clock = ManualClock()
    node = FakeNode("n1", gpus=(gpu("u0"), gpu("u1", 1)))
    fleet = inventory("n1")
    async with bench(tmp_path / "core", fleet, node, clock=clock) as made:
        one, two = await made.submit(
            "name: one\nrun: sleep\nresources: {gpus: 2}\n---\n"
            "name: two\nrun: sleep\nresources: {gpus: 1}\n"
        )
        for job, seconds in ((one, 100), (two, 40)):
            await made.until(running(job))
            clock.advance(seconds)
            node.end(f"{job}.0.1")
            await made.turn()
        await made.until(lambda snapshot: not snapshot.jobs)
        client = made.running.client()
        jobs = (await client.call(ListJobs(spec=True)))["jobs"]
        nodes = (await client.call(ListNodes()))["nodes"]
    path = tmp_path / "past.jsonl"
    boxes = boxes_of_nodes(nodes, fleet)
    path.write_text("\n".join(history_lines(jobs, boxes, fleet, clock.wall)) + "\n")
    past = read_trace(path)
    assert past.boxes[0].gpus == (BoxGpu(node.gpus[0].model, 80 * GIB),) * 2
    figures = replay_figures(Replay(past, past.boxes, Options()).run())
    assert figures["really"]["average_wait_s"] == pytest.approx(50, abs=0.1)
    assert figures["average_wait_s"] == pytest.approx(50, abs=0.1)
    assert figures["makespan_s"] == pytest.approx(140, abs=0.1)
