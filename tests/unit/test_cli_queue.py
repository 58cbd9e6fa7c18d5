"""`queue`, and what `why` and `plan` print of a place, a start and what would help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flextui.cli.root import run
from flextui.core.commands import ListQueue, Plan, Why
from tests.screens.fake_client import job, task
from tests.unit.cli_fakes import FakeCore

Captured = pytest.CaptureFixture[str]

WAITS: dict[str, Any] = {
    "index": 0,
    "state": "pending",
    "summary": "needs 2 GPUs: gpu1 held by bob/train",
    "code": "gpus_busy",
    "blocks": [
        {
            "code": "gpus_busy",
            "text": "0 of 2 GPUs free; 2 held by bob/train",
            "nodes": ["gpu1"],
            "device": None,
            "held_by": ["bob/train"],
            "clears": "bob/train ends in 3h at the latest",
        }
    ],
    "would_help": ["with 1 GPU instead of 2: now"],
    "feasible_ever": True,
    "position": 2,
    "waiting": 5,
    "ahead": ["eve/x"],
    "behind": "eve/x goes first by age",
    "factors": [{"name": "age", "weight": 1.0, "value": 1.0, "text": "has waited 2h"}],
    "expected": {"at": None, "latest": None, "sureness": "unknown", "text": "nobody knows"},
}
ROW: dict[str, Any] = {
    "position": 1,
    "id": "j7",
    "owner": "bob",
    "name": "train",
    "project": "vision",
    "task": 0,
    "nodes": 1,
    "asks": "2 GPUs",
    "priority": 50,
    "waits_since": "2026-01-31T09:30:00.000Z",
    "factors": [{"name": "priority", "weight": 1000, "value": 0.5, "text": "its own priority"}],
    "reason": "needs 2 GPUs: gpu1 held by eve/x",
    "reason_code": "gpus_busy",
    "expected": {"at": None, "latest": None, "sureness": "unknown", "text": "nobody knows"},
}


@pytest.fixture
def core() -> FakeCore:
    core = FakeCore(user="bob")
    other = {**ROW, "position": 2, "id": "j8", "owner": "eve", "name": "x"}
    core.answers[ListQueue] = {"queue": [ROW, other], "waiting": 2, "looked_until": None}
    return core


def test_the_queue_is_listed_in_order(core: FakeCore, capfd: Captured) -> None:
    assert run(["queue"], core.connect) == 0
    head, first, second = capfd.readouterr().out.splitlines()
    assert head.split()[:4] == ["PLACE", "ID", "JOB", "PROJECT"]
    assert "bob/train" in first
    assert "priority 500 of 1000" in first
    assert "unknown" in first
    assert "eve/x" in second


def test_one_can_ask_for_ones_own(core: FakeCore, capfd: Captured) -> None:
    assert run(["queue", "--mine", "--limit", "7", "--json"], core.connect) == 0
    answer = json.loads(capfd.readouterr().out)
    assert [row["id"] for row in answer["queue"]] == ["j7"]
    assert core.asked[-1] == ListQueue(7)


def test_a_longer_queue_is_said_to_be_longer(core: FakeCore, capfd: Captured) -> None:
    core.answers[ListQueue] |= {"waiting": 40}
    assert run(["queue"], core.connect) == 0
    assert "40 wait in all" in capfd.readouterr().err


def test_why_tells_place_start_and_help(core: FakeCore, capfd: Captured) -> None:
    core.answers[Why] = {
        "job": job(9, "eval", "bob", "pending", [task(0, "pending", [])]),
        "tasks": [WAITS],
    }
    assert run(["why", "j9"], core.connect) == 0
    out = capfd.readouterr().out
    assert "place: 2nd of 5: age 1 (has waited 2h); eve/x goes first by age" in out
    assert "ahead: eve/x" in out
    assert "start: unknown: nobody knows" in out
    assert "would help: with 1 GPU instead of 2: now" in out


def test_plan_tells_the_same_of_a_job_that_would_wait(
    core: FakeCore, capfd: Captured, tmp_path: Path
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: eval\nrun: x\n")
    told = {"index": 0, "node": None, "gpus": [], "reason": WAITS["summary"], "why": WAITS}
    core.answers[Plan] = {
        "jobs": [{"name": "eval", "action": "create", "tasks": [told], "warnings": []}]
    }
    assert run(["plan", str(file)], core.connect) == 0
    out = capfd.readouterr().out
    assert WAITS["summary"] in out
    assert "place: 2nd of 5" in out
    assert "would help: with 1 GPU instead of 2: now" in out
