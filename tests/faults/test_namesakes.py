"""Attempts of two cores that have the same name, on one machine and under one account."""

from __future__ import annotations

from pathlib import Path

import pytest

from flextui.agent import procs
from tests.bench.agent import Agent


@pytest.mark.parametrize("end", ["stop", "kill the supervisor"])
def test_ending_one_leaves_the_other(state_dir: Path, end: str) -> None:
    others = state_dir / "other"
    others.mkdir()
    with Agent(state_dir, "core1") as mine, Agent(others, "core2") as theirs:
        mine.hello()
        theirs.hello()
        pid = mine.start("j1.0.1", "sleep 1000 & wait")["record"]["pid"]
        their_pid = theirs.start("j1.0.1", "sleep 1000 & wait")["record"]["pid"]
        born = procs.ticks(their_pid)
        if end == "stop":
            mine.ask("stop", attempt="j1.0.1", grace_s=0, why="enough")
        else:
            supervisor = procs.stat(pid)
            assert supervisor is not None
            procs.send([supervisor.parent], 9)
        assert mine.end_of("j1.0.1")["state"] in ("ended", "lost")
        assert born is not None
        assert procs.alive(their_pid, born)
        theirs.ask("stop", attempt="j1.0.1", grace_s=0, why="enough")
        theirs.end_of("j1.0.1")
