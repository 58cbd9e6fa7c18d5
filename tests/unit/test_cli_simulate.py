"""`flextui simulate`: what it prints, for people and for programs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flextui.cli import chart
from flextui.cli.root import run
from flextui.core.commands import CommandError, ListJobs, ListNodes
from tests.screens.fake_client import attempt, gpu, job, node, task
from tests.unit.cli_fakes import FakeCore

Captured = pytest.CaptureFixture[str]
MURI = "job_id,num_gpu,submit_time,model_name,duration\n" + "".join(
    f"{at},{gpus},{at * 1000},m{at % 3},{seconds * 1000}\n"
    for at, (gpus, seconds) in enumerate([(8, 100), (1, 10), (4, 60), (16, 30), (2, 500)] * 8)
)
PHILLY = "timestamp,duration,num_gpus,cluster\n" + "".join(
    f"2017-10-0{1 + at % 3} 00:00:0{at % 9},{100 + at},{1 + at % 4},{'ab'[at % 2]}\n"
    for at in range(30)
)
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n" + "a,1000,1024,1,1000\nb,1000,1024,2,1000\n"
NODES = "sn,cpu_milli,memory_mib,gpu,model\nnode-1,64000,262144,4,T4\nnode-2,64000,262144,4,T4\n"


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    for name, text in (("muri", MURI), ("philly", PHILLY), ("pods", PODS), ("nodes", NODES)):
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def figures(capfd: Captured, *line: str | Path) -> Any:
    assert run(["simulate", *map(str, line), "--json"]) == 0
    return json.loads(capfd.readouterr().out)


# ── for programs ───────────────────────────────────────────────────────────────────────────────


def test_packing_prints_its_figures(traces: Path, capfd: Captured) -> None:
    told = figures(
        capfd, traces / "pods.csv", "--format", "openb", "--nodes", traces / "nodes.csv",
        "--experiment", "packing", "--seed", "42",
    )  # fmt: skip
    assert {"allocated_percent", "unallocated_gpus", "decisions", "seconds"} <= set(told)
    assert told["allocated_percent"] == 100 * (1 - told["unallocated_gpus"] / 8)
    assert told["seed"] == 42


@pytest.mark.parametrize("policy", ["fifo", "priority", "fair-share", "shortest"])
@pytest.mark.parametrize(
    "more", [(), ("--durations", "known", "--preemption-cost", "60s"), ("--no-preemption",)]
)
def test_a_replay_prints_its_figures(
    traces: Path, capfd: Captured, policy: str, more: tuple[str, ...]
) -> None:
    told = figures(
        capfd, traces / "muri.csv", "--format", "muri", "--nodes", "8x8", "--policy", policy, *more
    )
    wanted = {"average_jct_s", "p99_jct_s", "makespan_s", "longest_wait_s", "seconds"}
    assert wanted <= set(told)
    assert told["ended"] == 40
    assert told["policy"] == policy
    assert told["preemption_cost_s"] == (None if "--no-preemption" in more else 60.0)
    assert told["durations"] == ("known" if "known" in more else "unknown")
    assert told["average_jct_s"] >= sum(s for _, s in [(8, 100), (1, 10), (4, 60), (16, 30)]) / 5


def test_several_policies_are_a_list(traces: Path, capfd: Captured) -> None:
    line = (traces / "philly.csv", "--nodes", "1x4", "--policy", "fifo", "--policy", "fair-share")
    told = figures(capfd, *line, "--weight", "a=3")
    assert [it["policy"] for it in told] == ["fifo", "fair-share"]
    accounts = told[1]["fairness"]["accounts"]
    assert [(it["account"], it["weight"]) for it in accounts] == [("a", 3.0), ("b", 1.0)]


@pytest.mark.parametrize(
    ("line", "jobs"),
    [
        (["--limit", "7"], 7),
        (["--from", "1d", "--to", "2d"], 10),
        (["--from", "2017-10-02T00:00:00Z"], 20),
        ([], 30),
    ],
)
def test_a_part_of_a_trace(traces: Path, capfd: Captured, line: list[str], jobs: int) -> None:
    told = figures(capfd, traces / "philly.csv", "--nodes", "4x4", *line)
    assert told["jobs"] == jobs


# ── for people ─────────────────────────────────────────────────────────────────────────────────


def test_a_replay_reads_well(traces: Path, capfd: Captured) -> None:
    assert run(["simulate", str(traces / "muri.csv"), "--nodes", "2x8", "--policy", "fifo"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("2 nodes, 16 GPUs · 40 jobs · fifo, backfill easy · durations unknown")
    for word in ("completion", "waiting", "  16 GPUs", "GPUs in use", "makespan", "utilisation"):
        assert word in out
    assert "█" in out
    assert "\x1b" not in out


def test_policies_are_compared_in_a_table(traces: Path, capfd: Captured) -> None:
    line = ["simulate", str(traces / "muri.csv"), "--nodes", "2x8"]
    assert run([*line, "--policy", "fifo", "--policy", "shortest"]) == 0
    head, _, columns, *rows = capfd.readouterr().out.splitlines()
    assert "2 policies" in head
    assert columns.split()[:3] == ["POLICY", "AVERAGE", "JCT"]
    assert [row.split()[0] for row in rows] == ["fifo", "shortest"]


def test_packing_reads_well(traces: Path, capfd: Captured) -> None:
    line = ["simulate", str(traces / "pods.csv"), "--nodes", str(traces / "nodes.csv")]
    assert run([*line, "--experiment", "packing"]) == 0
    out = capfd.readouterr().out
    assert "2 nodes, 8 GPUs, seed 42" in out
    assert "allocated    100.00 % of GPUs" in out


@pytest.mark.parametrize("ascii_only", [True, False])
def test_columns_grow_with_their_values(ascii_only: bool) -> None:
    rows = chart.columns([0, 1, 4, 8, 99], 8.0, 2, ascii_only=ascii_only)
    full = "@" if ascii_only else "█"
    assert rows[0][3:] == full * 2
    assert rows[1][2:] == full * 3
    assert rows[0][:3] == "   "
    assert rows[1][0] == " "
    assert chart.spark([0, 8], 8.0, ascii_only=ascii_only) == f" {full}"
    assert all(row.isascii() for row in rows) is ascii_only


def test_a_terminal_that_knows_no_unicode_gets_ascii() -> None:
    assert chart.plain("ascii")
    assert chart.plain("latin-1")
    assert not chart.plain("utf-8")
    framed = chart.framed(["#", "#"], "8", "0", "now", ascii_only=True)
    assert framed == ["8 |#", "0 |#", "   now"]


# ── what is refused ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["muri.csv"], "the trace doesn't say which nodes there are: expected --nodes 8x8"),
        (["muri.csv", "--nodes", "8x8", "--history"], "--history and --export are of this fleet"),
        (
            ["muri.csv", "--nodes", "8x8", "--no-preemption", "--preemption-cost", "5s"],
            "--no-preemption costs nothing",
        ),
        (["muri.csv", "--nodes", "8x8", "--preemption-cost", "soon"], "--preemption-cost"),
        (["muri.csv", "--nodes", "8x8", "--weight", "a"], "expected PROJECT=WEIGHT"),
        (["muri.csv", "--nodes", "8x8", "--from", "900d"], "no job was submitted in that time"),
        (["pods.csv", "--nodes", "8x8"], "expected --experiment packing"),
        (["muri.csv", "--nodes", "none.csv"], "none.csv:1:1: can't be read"),
        (["muri.csv", "--nodes", "8x8", "--format", "philly"], "the column timestamp is missing"),
    ],
)
def test_what_makes_no_sense_is_status_2(
    traces: Path, capfd: Captured, line: list[str], said: str
) -> None:
    trace, *rest = line
    assert run(["simulate", str(traces / trace), *rest]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("flextui: error: ")


# ── the fleet's own past ───────────────────────────────────────────────────────────────────────


def past() -> FakeCore:
    """A core that ran two jobs on a node of two GPUs."""
    core = FakeCore(nodes=[node("gpu1", [gpu(0, "A100", 80, 0), gpu(1, "A100", 80, 0)])])
    for seq in (1, 2):
        ran = attempt(f"j{seq}.0", 1, "succeeded", "gpu1", ended_at=f"2026-11-23T12:{seq}5:00Z")
        core.jobs.append(
            job(
                seq, "train", "ada", "succeeded", [task(0, "succeeded", [ran])],
                ended_at=f"2026-11-23T12:{seq}5:00Z", groups=[],
                spec={"name": "train", "run": "true", "resources": {"gpus": 2}},
            )
        )  # fmt: skip
    return core


def test_the_own_past_is_what_is_replayed_without_a_trace(
    tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    core = past()
    assert run(["simulate", "--policy", "fifo", "--json"], core.connect) == 0
    told = json.loads(capfd.readouterr().out)
    assert ListJobs(spec=True) in core.asked
    assert (told["gpus"], told["jobs"], told["ended"]) == (2, 2, 2)
    assert told["makespan_s"] == 15 * 60 + 25 * 60
    assert told["really"]["jobs"] == 2
    assert told["preemption"] is False


def test_the_own_past_leaves_as_a_file_that_can_be_replayed(
    tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["simulate", "--export", "past.jsonl"], past().connect) == 0
    assert "2 jobs written to past.jsonl" in capfd.readouterr().err
    assert figures(capfd, "past.jsonl")["ended"] == 2
    assert run(["simulate", "--export", "past.jsonl"], past().connect) == 2
    assert "past.jsonl exists" in capfd.readouterr().err
    assert run(["simulate", "--export", "-"], past().connect) == 0
    written = (tmp_path / "past.jsonl").read_text()
    assert capfd.readouterr().out.splitlines()[1:] == written.splitlines()[1:]


def test_where_no_core_runs_the_nodes_must_be_given(
    tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    core = past()
    core.answers[ListNodes] = CommandError("unreachable", "no core runs")
    assert run(["simulate"], core.connect) == 2
    assert "expected --nodes" in capfd.readouterr().err
    assert run(["simulate", "--nodes", "1x4:a100", "--json"], core.connect) == 0
    assert json.loads(capfd.readouterr().out)["gpus"] == 4
