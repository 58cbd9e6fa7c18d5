"""reserve, unreserve, reservations, and what `run` and `jobs` say of projects, shares and gangs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flextui.cli import page
from flextui.cli.columns import job_cells
from flextui.cli.root import run
from flextui.cli.text import resources
from flextui.core.commands import (
    CommandError,
    ListReservations,
    Reserve,
    Submit,
    Unreserve,
)
from flextui.core.model.spec import JobSpec, read_specs
from tests.unit.cli_fakes import FakeCore

Captured = pytest.CaptureFixture[str]

DEMO: dict[str, Any] = {
    "name": "demo",
    "kind": "reservation",
    "source": "command",
    "for": ["bob", "project:vision"],
    "nodes": ["gpu1", "gpu2"],
    "gpus": [0, 1],
    "from": "2030-02-04T09:00:00",
    "to": "3h",
    "every": "weekdays",
    "until": None,
    "timezone": None,
    "next": {"from": "2030-02-04T09:00:00.000Z", "to": "2030-02-04T12:00:00.000Z"},
    "active": False,
}
PATCH = {**DEMO, "name": "patch", "kind": "maintenance", "source": "inventory", "for": []}


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_reserve_says_all_of_it_and_tells_what_was_made(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[Reserve] = {"reservation": DEMO}
    line = ["reserve", "demo", "--node", "gpu1", "--node", "gpu2", "--gpu", "0", "--gpu", "1",
            "--for", "bob", "--for", "project:vision", "--from", "2030-02-04T09:00", "--to", "3h",
            "--every", "weekdays", "--until", "2031-01-01", "--timezone", "UTC"]  # fmt: skip
    assert run(line, core.connect) == 0
    assert core.asked == [
        Reserve(
            "demo",
            ("bob", "project:vision"),
            ("gpu1", "gpu2"),
            "3h",
            "2030-02-04T09:00",
            (0, 1),
            "weekdays",
            "2031-01-01",
            "UTC",
        )
    ]
    assert capfd.readouterr().out == (
        "demo: gpu1, gpu2 GPU 0, 1 for bob, project:vision "
        "from 2030-02-04 09:00:00 to 2030-02-04 12:00:00, every weekday\n"
    )


def test_reserve_needs_no_more_than_what_whom_and_how_long(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[Reserve] = {"reservation": {**DEMO, "nodes": "all", "gpus": None, "every": None}}
    assert run(["reserve", "d", "--node", "all", "--for", "bob", "--to", "4h"], core.connect) == 0
    assert core.asked == [Reserve("d", ("bob",), ("all",), "4h")]
    assert capfd.readouterr().out.startswith("d: all nodes for bob, project:vision from 2030")


@pytest.mark.parametrize(
    "line",
    [
        ["reserve"],
        ["reserve", "d", "--node", "n", "--for", "bob"],
        ["reserve", "d", "--node", "n", "--to", "4h"],
        ["reserve", "d", "--for", "bob", "--to", "4h"],
        ["reserve", "d", "--node", "n", "--for", "b", "--to", "4h", "--every", "month"],
        ["reserve", "d", "--node", "n", "--for", "b", "--to", "4h", "--gpu", "-1"],
        ["unreserve"],
    ],
)
def test_a_line_that_says_too_little_is_no_question_to_the_core(
    line: list[str], capfd: Captured
) -> None:
    core = FakeCore()
    assert run(line, core.connect) == 2
    assert core.asked == []
    assert "flextui: error:" in capfd.readouterr().err


def test_a_refusal_keeps_its_status(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[Unreserve] = CommandError("permission", "only admins may end reservations")
    assert run(["unreserve", "demo"], core.connect) == 4
    core.answers[Unreserve] = {"name": "demo"}
    assert run(["unreserve", "demo"], core.connect) == 0
    assert capfd.readouterr().out == "demo has ended\n"


def test_reservations_are_listed_with_their_next_time(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[ListReservations] = {"reservations": [DEMO, PATCH]}
    assert run(["reservations"], core.connect) == 0
    head, demo, patch = capfd.readouterr().out.splitlines()
    assert " ".join(head.split()) == "NAME KIND NODES GPUS FOR FROM TO EVERY BY"
    assert " ".join(demo.split()) == (
        "demo reservation gpu1,gpu2 0,1 bob,project:vision "
        "2030-02-04 09:00:00 2030-02-04 12:00:00 weekday command"
    )
    assert patch.split()[:2] == ["patch", "maintenance"]
    assert run(["reservations", "--json"], core.connect) == 0
    assert json.loads(capfd.readouterr().out) == [DEMO, PATCH]


def spec_of(core: FakeCore) -> JobSpec:
    (sent,) = core.asked
    assert isinstance(sent, Submit)
    return read_specs(sent.sources[0].text, "run")[0]


def test_run_says_what_it_shares_and_when(capfd: Captured) -> None:
    core = FakeCore()
    core.answers[Submit] = {"jobs": [{"id": "j1", "name": "x", "revision": 1}]}
    line = ["run", "--detach", "--gpu-share", "0.25", "--project", "vision", "--begin", "1h",
            "--deadline", "2030-02-04T09:00Z", "--nodes", "3", "--preempt", "resume",
            "--interactive", "--", "x"]  # fmt: skip
    assert run(line, core.connect) == 0
    spec = spec_of(core)
    assert (spec.resources.share_milli, spec.project, spec.nodes) == (250, "vision", 3)
    assert (spec.begin, spec.deadline) == (3600.0, "2030-02-04T09:00:00+00:00")
    assert (spec.preempt, spec.interactive) == ("resume", True)
    assert capfd.readouterr().out == "j1\n"


def test_run_takes_a_share_as_a_size() -> None:
    core = FakeCore()
    core.answers[Submit] = {"jobs": [{"id": "j1", "name": "x", "revision": 1}]}
    assert run(["run", "-d", "--gpu-share", "10GiB", "--", "x"], core.connect) == 0
    assert spec_of(core).resources.share_bytes == 10 * 2**30


@pytest.mark.parametrize(
    ("asked", "nodes", "shown"),
    [
        ({"gpus": 2}, 1, "2"),
        ({"gpus": 2}, 4, "8"),
        ({"gpus": 0, "gpu_share": 0.5}, 1, "0.5"),
        ({"gpus": 0, "gpu_share": 10 * 2**30}, 1, "10G"),
        ({"gpus": 0, "gpu_share": None}, 1, "-"),
    ],
)
def test_the_gpus_of_a_job_are_all_of_them(asked: dict[str, Any], nodes: int, shown: str) -> None:
    job: Any = {"resources": asked, "count": 1, "nodes": nodes, "project": None}
    look = page.Look(glyph=False, width=None, colour=False, now=0.0)
    (cells,) = job_cells([job], ("gpus", "project"), look)[1]
    assert cells == [shown, "-"]


def test_a_share_reads_as_a_part() -> None:
    assert resources({"gpus": 0, "gpu_share": 0.5, "cpus": 1}) == "0.5 of a GPU, 1 CPU"
    assert resources({"gpus": 0, "gpu_share": 2**30}) == "1.0G of a GPU"
