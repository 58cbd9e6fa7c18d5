"""`logs` of several jobs: lines in time order, the last ones, what was looked for, followed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from flextui.cli.root import run
from flextui.core.commands import LogRequest
from flextui.core.model.docs import LogEvent
from tests.screens.fake_client import attempt, job, task
from tests.screens.fake_log import NOON, FakeLog
from tests.unit.cli_fakes import FakeCore

Captured = pytest.CaptureFixture[str]


class Core(FakeCore):
    """Two jobs that print by turns, once a second: `a 0`, `b 1`, `a 2` … `b 9`."""

    def __init__(self) -> None:
        names = ((1, "train", "gpu1"), (2, "chat", "gpu2"))
        super().__init__(jobs=[
            job(seq, name, "alice", "running",
                [task(0, "running", [attempt(f"j{seq}.0", 1, "running", node)])])
            for seq, name, node in names
        ])  # fmt: skip
        self.printed = [FakeLog(f"j{seq}.0.1", node) for seq, _, node in names]
        for n in range(10):
            self.printed[n % 2].print(f"{'ab'[n % 2]} {n}", NOON + 1000 * n)
        self.lost = False
        """What is followed breaks off."""

    async def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        if self.lost and request.follow:
            raise ConnectionError("broken pipe")
        for log in self.printed:
            mine = tuple(it for it in request.pieces if it.attempt == log.attempt)
            if mine and not request.follow:
                async for event in log.events(replace(request, pieces=mine)):
                    yield event


def printed(capfd: Captured, core: FakeCore, *words: str) -> list[str]:
    assert run(["logs", *words], core.connect) == 0
    return capfd.readouterr().out.splitlines()


ALL = [f"{'ab'[n % 2]} {n}" for n in range(10)]


def test_lines_of_several_jobs_come_in_time_order(capfd: Captured) -> None:
    assert printed(capfd, Core(), "train", "chat") == ALL


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["-n", "3"], ALL[-3:]), (["-n", "0"], []), (["-n", "99"], ALL),
        (["--since", "2026-11-23T12:00:07Z"], ALL[7:]),
        (["--since", "2026-11-23T12:00:07Z", "-n", "5"], ALL[5:]),
        (["--since", "2026-11-23T12:00:03Z", "-n", "5"], ALL[3:]),
        (["--grep", "[36]"], [ALL[3], ALL[6]]),
        (["--grep", "[36]", "-n", "1"], [ALL[6]]),
        (["--grep", "[36]", "--since", "2026-11-23T12:00:05Z"], [ALL[6]]),
        (["--grep", "B", "-i"], ALL[1::2]), (["--grep", "B"], []),
        (["--grep", "a", "--invert"], ALL[1::2]),
        (["--grep", "4", "-C", "1"], [ALL[2], ALL[4], ALL[6]]),
    ],
    ids=lambda it: " ".join(it),
)  # fmt: skip
def test_only_what_is_asked_for(words: list[str], lines: list[str], capfd: Captured) -> None:
    assert printed(capfd, Core(), "train", "chat", *words) == lines


def test_with_times_each_line_says_whose_it_is(capfd: Captured) -> None:
    found = printed(capfd, Core(), "train", "chat", "--timestamps", "utc", "-n", "2")
    assert found == ["12:00:08.000Z train gpu1 a 8", "12:00:09.000Z chat gpu2 b 9"]


def test_a_line_of_json_tells_all_of_it_and_drives_no_terminal(capfd: Captured) -> None:
    core = Core()
    core.printed[0].print("Traceback (most recent call last): \x1b]0;x\x07\x9b2J é", NOON + 20_000)
    (line,) = printed(capfd, core, "train", "chat", "--json", "-n", "1")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {
        "at": "2026-11-23T12:00:20.000Z", "job": "j1", "name": "train", "task": 0,
        "attempt": "j1.0.1", "node": "gpu1", "stream": "out", "level": "error",
        "text": "Traceback (most recent call last): \x1b]0;x\x07\x9b2J é",
    }  # fmt: skip


def test_a_core_that_goes_away_while_it_is_followed_is_told(capfd: Captured) -> None:
    core = Core()
    core.lost = True
    assert run(["logs", "train", "chat", "-f", "-n", "1"], core.connect) == 3
    out, err = capfd.readouterr()
    assert out == f"{ALL[-1]}\n"
    assert err == "flextui: error: the core went away: broken pipe\n"


def test_no_pattern_is_no_pattern(capfd: Captured) -> None:
    assert run(["logs", "train", "chat", "--grep", "("], Core().connect) == 2
    assert "this is no regular expression" in capfd.readouterr().err
