"""`flextui problems`: what is wrong and the next step, for people and for scripts."""

from __future__ import annotations

import json

import pytest

from flextui.cli.root import run
from flextui.core.commands import ListProblems
from tests.screens.fake_client import fleet_delta, problem
from tests.unit.cli_fakes import FakeCore

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def core() -> FakeCore:
    made = FakeCore()
    made.answers[ListProblems] = {"problems": fleet_delta()["problems"]}
    return made


def test_each_has_the_command_that_is_its_next_step(core: FakeCore, capfd: Captured) -> None:
    assert run(["problems"], core.connect) == 0
    heading, *lines = capfd.readouterr().out.splitlines()
    assert heading.split() == ["SINCE", "HOW", "BAD", "WHAT", "TOUCHES", "NEXT", "ID"]
    assert [line.split()[1] for line in lines] == ["critical", "critical", "warning", "notice"]
    words = " ".join(lines[0].split()[2:])
    assert (
        words == "gpu5: no answer for 38s dan/train-vit unknown flextui declare-lost gpu5 node:gpu5"
    )


def test_what_a_job_says_of_itself_drives_no_terminal(core: FakeCore, capfd: Captured) -> None:
    core.answers[ListProblems] = {
        "problems": [problem("one", "critical", "x\x1b]0;owned\x07y", "", "", next="mend\x9b2Jit")]
    }
    assert run(["problems"], core.connect) == 0
    assert capfd.readouterr().out.splitlines()[1].endswith("critical  xy    -        mendit  one")


def test_scripts_hear_by_the_status_whether_anything_is_bad(
    core: FakeCore, capfd: Captured
) -> None:
    assert run(["problems", "--bad", "--json"], core.connect) == 1
    found = json.loads(capfd.readouterr().out)
    assert [it["severity"] for it in found] == ["critical", "critical", "warning"]
    core.answers[ListProblems] = {"problems": [problem("one", "notice", "x", "", "")]}
    assert run(["problems", "--bad"], core.connect) == 0
    assert run(["problems"], core.connect) == 0
    assert capfd.readouterr().out.count("notice") == 1
