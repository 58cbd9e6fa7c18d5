"""The spawner: what it rehearses leaves nothing behind, and one that can't live is no storm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flextui.agent import spawner
from flextui.agent.light import AF_UNIX, SOCK_STREAM, Socket, socketpair
from flextui.agent.loop import Loop
from tests.bench.agent import REPO, Agent, python

_REHEARSE = """
import os, sys
sys.path.insert(0, {repo!r})
from flextui.agent import rehearsal
before = set(os.listdir("/proc/self/fd"))
rehearsal._SCRATCH = {scratch!r} + "/%s"
rehearsal.rehearse()
listing = {{str(os.open("/dev/null", os.O_RDONLY))}}
print(len(set(os.listdir("/proc/self/fd")) - before - listing))
"""


@pytest.mark.parametrize("interpreter", [python(), sys.executable])
def test_a_rehearsal_leaves_nothing_behind(tmp_path: Path, interpreter: str) -> None:
    code = _REHEARSE.format(repo=str(REPO), scratch=str(tmp_path))
    command = [interpreter, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) <= 1, "the second listing's own"
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_rehearsed_it_is_left_out() -> None:
    code = _REHEARSE.format(repo=str(REPO), scratch="/proc/nowhere")
    command = [python(), "-I", "-S", "-c", code]
    subprocess.run(command, capture_output=True, check=True, timeout=60)


def test_a_supervisor_owns_little_memory(state_dir: Path) -> None:
    """A forked supervisor shares the interpreter: about a megabyte is its own."""
    with Agent(state_dir) as agent:
        agent.hello()
        answers = [agent.start(f"a{number}", ["/bin/sleep", "100"]) for number in range(5)]
        own = []
        for answer in answers:
            stat = Path(f"/proc/{answer['record']['pid']}/stat").read_text()
            supervisor = stat.rsplit(")", 1)[1].split()[1]
            rollup = Path(f"/proc/{supervisor}/smaps_rollup").read_text().splitlines()
            own.append(next(int(line.split()[1]) for line in rollup if "Private_Dirty" in line))
        for number in range(5):
            agent.ask("stop", attempt=f"a{number}", grace_s=0, why="")
            agent.end_of(f"a{number}")
    assert sorted(own)[2] < 1400


def test_a_spawner_that_dies_at_once_is_not_forked_in_a_rush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forks = 0

    def stillborn() -> tuple[Socket, int]:
        nonlocal forks
        forks += 1
        ours, its = socketpair(AF_UNIX, SOCK_STREAM)
        ours.setblocking(False)
        pid = os.fork()
        if pid == 0:
            os._exit(1)
        its.close()
        return ours, pid

    monkeypatch.setattr(spawner, "_fork", stillborn)
    replaced: list[int] = []
    loop = Loop()
    ours = spawner.Spawner()
    ours.attach(loop, lambda: replaced.append(forks))
    ours.start(b"{}\n")
    loop.after(1.0, loop.stop)
    loop.run()
    assert 2 <= forks <= 6
    assert replaced == list(range(2, forks + 1))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
