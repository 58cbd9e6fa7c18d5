"""Completion in the shell: words of options, files, and names of the fleet as it is now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from click.shell_completion import ShellComplete

from flextui.cli.root import cli
from flextui.core.commands import WhoAmI
from tests.screens.fake_client import fleet_delta
from tests.unit.cli_fakes import FakeCore


@pytest.fixture(autouse=True)
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    view = fleet_delta()
    made = FakeCore(
        jobs=[it for it in view["jobs"].values() if it],
        nodes=[it for it in view["nodes"].values() if it],
    )
    made.answers = {WhoAmI: {"projects": ["vision", "speech"]}}

    @asynccontextmanager
    async def attached(_: object) -> AsyncIterator[FakeCore]:
        yield made

    monkeypatch.setattr("flextui.cli.connect.attach_only", attached)
    return made


def offered(line: str) -> list[str]:
    *words, begun = line.split(" ")
    found = ShellComplete(cli, {}, "flextui", "_X").get_completions(words, begun)
    return [it.type if it.type != "plain" else it.value for it in found]


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("jobs --state f", "failed"),
        ("jobs --state failed,r", "failed,running"),
        ("jobs --type s", "service"),
        ("jobs -o id,re", "id,reason"),
        ("run --project v", "vision"),
        ("run --gpu-model a", "a100"),
        ("drain gpu", "gpu1"),
        ("cordon gpu4:", "gpu4:3"),
        ("submit tr", "file"),
        ("plan tr", "file"),
        ("edit train -f tr", "file"),
        ("simulate tr", "file"),
        ("-i inv", "file"),
    ],
)
def test_what_may_stand_there_is_offered(line: str, among: str) -> None:
    assert among in offered(line)


def test_a_word_isnt_offered_twice() -> None:
    assert offered("jobs --state failed,f") == []
