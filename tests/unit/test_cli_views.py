"""`placement`, `revisions`, `history` and the audit: what they print of what the screens show."""

from __future__ import annotations

import json
import time

import pytest

from flextui.cli.root import run
from flextui.core.commands import History, ListEvents, ListPlacement, Revisions, Show, Why
from flextui.core.model.docs import JobDoc
from tests.screens import answers
from tests.screens.fake_client import attempt, fleet_delta, job, task
from tests.unit.cli_fakes import FakeCore, view

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def core() -> FakeCore:
    fleet = fleet_delta()
    nodes = [it for it in fleet["nodes"].values() if it]
    made = FakeCore(jobs=[it for it in fleet["jobs"].values() if it], nodes=nodes)
    made.answers = {
        ListPlacement: lambda it: answers.placement(it.job),
        Revisions: lambda it: answers.revisions(it.job),
        History: lambda it: answers.history(it, nodes),
        ListEvents: answers.events,
    }
    return made


def test_placement_draws_who_holds_what(core: FakeCore, capfd: Captured) -> None:
    assert run(["placement"], core.connect) == 0
    out = capfd.readouterr().out
    assert "gpu1           A100-80  t t t t  t t · ·  t train×6" in out
    assert any(line.startswith("t  bob/train") and "6 GPUs" in line for line in out.splitlines())


def test_placement_of_a_waiting_job_marks_who_has_to_end(core: FakeCore, capfd: Captured) -> None:
    assert run(["placement", "j4"], core.connect) == 0
    out = capfd.readouterr().out
    assert "t!t!t!t! t!t!·<·<" in out
    assert "goes to gpu1" in out
    assert run(["placement", "j4", "--json"], core.connect) == 0
    assert json.loads(capfd.readouterr().out)["wants"]["id"] == "j4"


def test_revisions_tell_each_change_on_its_line(core: FakeCore, capfd: Captured) -> None:
    assert run(["revisions", "j2"], core.connect) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 + 1, "a head, four changes, the first"
    assert "env.LR: 0.1 → 0.05" in "\n".join(lines)
    assert "the first that is known" in lines[-1]


def test_history_draws_a_node_or_a_job(core: FakeCore, capfd: Captured) -> None:
    assert run(["history", "gpu1"], core.connect) == 0
    out = capfd.readouterr().out
    assert out.startswith("the last 5m")
    assert "GPU 7 power" in out
    assert run(["history", "--job", "j1"], core.connect) == 0
    assert "j1.0.1 on gpu1" in capfd.readouterr().out


def test_history_wants_a_node_or_a_job(core: FakeCore, capfd: Captured) -> None:
    assert run(["history"], core.connect) == 2
    assert run(["history", "gpu1", "--job", "j1"], core.connect) == 2
    assert "NODE, or --job JOB" in capfd.readouterr().err


def test_events_can_be_only_what_people_did(core: FakeCore, capfd: Captured) -> None:
    assert run(["events", "--audit", "--node", "gpu1"], core.connect) == 0
    out = capfd.readouterr().out
    assert "audit.cordon" in out
    assert "attempt.started" not in out
    later = (("audit.stop", "bob"), ("job.failed", "flextui"))
    core.history = [answers.event(9 + n, kind, by, "") for n, (kind, by) in enumerate(later)]
    assert run(["events", "-f", "-n", "0", "--user", "bob"], core.connect) == 0
    assert [line.split()[2] for line in capfd.readouterr().out.splitlines()] == ["audit.stop"]
    assert not any(isinstance(it, Show) for it in core.asked)


def scaled_down() -> JobDoc:
    """A service of one replica that had two."""
    first = task(0, "running", [attempt("j9.0", 1, "running", "gpu1")])
    second = task(1, "stopped", [attempt("j9.1", 1, "killed", "gpu2")], "scaled down to 1")
    return job(9, "web", "alice", "running", [first, {**second, "retired": True}], type="service")


def test_what_was_scaled_away_is_no_longer_waited_for(capfd: Captured) -> None:
    core = FakeCore(jobs=[scaled_down()])
    core.deltas = [view(scaled_down())]
    assert run(["wait", "j9", "--for", "running"], core.connect) == 0
    assert run(["jobs", "-o", "tasks,reason"], core.connect) == 0
    assert capfd.readouterr().out.split() == ["TASKS", "REASON", "1/1", "-"]
    assert run(["show", "j9"], core.connect) == 0
    assert "replicas  1 of 1 run" in capfd.readouterr().out


def test_why_of_what_waits_for_nothing_tells_where_it_runs(capfd: Captured) -> None:
    core = FakeCore(jobs=[scaled_down()])
    rows = [
        {"index": it["index"], "summary": it["reason"], "blocks": [], "would_help": []}
        for it in scaled_down()["tasks"]
    ]
    core.answers = {Why: {"job": scaled_down(), "tasks": rows}}
    assert run(["why", "j9"], core.connect) == 0
    first, second = capfd.readouterr().out.splitlines()[1:]
    assert first.startswith("  task 0: running on gpu1 for ")
    assert second == "  task 1: scaled down to 1"


def test_times_in_reasons_are_told_in_local_time_and_stay_utc_in_json(
    capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    try:
        why = "gpu1 kept for bob/big until 2026-02-02T14:05:00.000Z"
        core = FakeCore(jobs=[job(9, "train", "alice", "pending", [task(0, "pending", [], why)])])
        assert run(["jobs", "-o", "reason"], core.connect) == 0
        assert "kept for bob/big until 2026-02-02 16:05\n" in capfd.readouterr().out
        assert run(["jobs", "--json"], core.connect) == 0
        assert why in capfd.readouterr().out
    finally:
        monkeypatch.undo()
        time.tzset()
