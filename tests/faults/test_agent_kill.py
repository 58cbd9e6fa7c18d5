"""kill -9 on a node, at each step of a start and at random instants: nothing runs twice.

Each job appends its name to one file: a line too many is a second run, a line missing a lost one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.bench.agent import DEADLINE_S, REPO, Agent, python

STEPS = ("made", "locked", "claimed", "forked", "identified", "told", "opened")
NEVER_RAN = STEPS[:4]
MAY_HAVE_RUN = STEPS[4:]

_DIE_AT = """
import os, sys
sys.path.insert(0, {repo!r})
from flextui.agent import supervisor

def die(step):
    if step == {step!r}:
        os.kill(os.getpid(), 9)

supervisor.main({line!r}, die)
"""


def request(agent: Agent, state: Path, attempt: str, command: str) -> dict[str, Any]:
    """What the agent would hand to its spawner."""
    home = next(state.glob("root/*/core1-*"))
    return {
        **agent.start_fields(attempt, command),
        "core_dir": str(home),
        "core_id": agent.core_id,
        "user": "tester",
        "claims_dir": "/var/tmp/flextui-claims/test",
        "limit": None,
        "lease_age_s": 0.0,
        "spawn": "1",
    }


def runs(path: Path) -> Counter[str]:
    return Counter(path.read_text().split() if path.exists() else [])


def marked(core_id: str, attempt: str) -> list[int]:
    """Processes that carry an attempt's marks."""
    marks = [f"FLEXTUI_ATTEMPT={attempt}\0".encode(), f"FLEXTUI_CORE={core_id}\0".encode()]
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environ = path.read_bytes()
            if all(mark in environ for mark in marks):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_supervisor_killed_at_each_step_of_a_start(
    state_dir: Path, tmp_path: Path, step: str
) -> None:
    """NODE.md, starting exactly once: 'Test: kill at each step'."""
    ran = tmp_path / "ran"
    name = f"step-{step}-{os.getpid()}"
    with Agent(state_dir) as agent:
        agent.hello()
        line = json.dumps(request(agent, state_dir, name, f"echo x >> {ran}")).encode()
        agent.kill()
    script = _DIE_AT.format(repo=str(REPO), step=step, line=line)
    done = subprocess.run([python(), "-I", "-S", "-c", script], check=False, timeout=DEADLINE_S)
    assert done.returncode == -signal.SIGKILL
    with Agent(state_dir) as agent:
        agent.hello()
        answer = agent.start(name, f"echo x >> {ran}")
        assert answer["t"] == "ok"
        end = agent.end_of(name)
        if step in NEVER_RAN:
            assert end["exit"]["code"] == 0
            assert runs(ran) == {"x": 1}
        else:
            assert (end["state"], end["exit"]["why"]) == ("lost", "supervisor_lost")
            assert runs(ran)["x"] <= (step == "opened")
        assert not marked(agent.core_id, name)


@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_died_can_be_given_up_unless_it_may_have_run(
    state_dir: Path, tmp_path: Path, step: str
) -> None:
    """NODE.md, starting: to abandon a start is a race for the directory that one side wins."""
    ran = tmp_path / "ran"
    name = f"give-up-{step}-{os.getpid()}"
    with Agent(state_dir) as agent:
        agent.hello()
        line = json.dumps(request(agent, state_dir, name, f"echo x >> {ran}")).encode()
        agent.kill()
    script = _DIE_AT.format(repo=str(REPO), step=step, line=line)
    subprocess.run([python(), "-I", "-S", "-c", script], check=False, timeout=DEADLINE_S)
    with Agent(state_dir) as agent:
        agent.hello()
        record = agent.ask("abandon", attempt=name)["record"]
        if step in NEVER_RAN:
            assert record["state"] == "never"
            assert agent.start(name, f"echo x >> {ran}")["code"] == "tombstone"
            assert not ran.exists()
        else:
            assert record["state"] in ("running", "lost")
            assert agent.end_of(name)["state"] == "lost"


class Fleet:
    """Many short jobs through agents that get killed; what a core would do about it."""

    def __init__(self, state: Path, seed: int) -> None:
        self.state = state
        self.random = random.Random(seed)
        self.ran = state / "ran"
        self.codes: dict[str, int] = {}
        self.ends: dict[str, dict[str, Any]] = {}
        self.agent = Agent(state)
        self.agent.hello()

    def begin(self, number: int) -> None:
        """Ask for a job, not waiting for the answer."""
        name = f"j{number}"
        self.codes[name] = number % 7
        self.ask(name)

    def ask(self, name: str) -> None:
        nap = self.random.choice(("", "sleep 0.05; ", "sleep 0.01; "))
        command = f"echo {name} >> {self.ran}; {nap}exit {self.codes[name]}"
        fields = self.agent.start_fields(name, command)
        try:
            self.agent.send({"t": "start", "id": name, **fields})
        except BrokenPipeError:
            return

    def take(self, record: dict[str, Any]) -> None:
        if record["state"] in ("ended", "lost"):
            assert self.ends.setdefault(record["attempt"], record)["exit"] == record["exit"]

    def listen(self, seconds: float) -> None:
        for message in self.agent.messages(seconds):
            self.hear(message)

    def hear(self, message: dict[str, Any]) -> None:
        if message["t"] == "attempt":
            self.take(message)
        elif message["t"] == "ok" and "record" in message:
            self.take(message["record"])
        else:
            assert message["t"] != "error", message

    def replace_agent(self) -> None:
        """The next agent; what nobody has heard of is asked for again."""
        self.agent.kill()
        self.agent = Agent(self.state)
        welcome = self.agent.hello()
        for record in welcome["attempts"]:
            self.take(record)
        known = {record["attempt"] for record in welcome["attempts"]}
        for name in self.codes:
            if name not in known:
                self.ask(name)

    def finish(self) -> None:
        deadline = time.monotonic() + 3 * DEADLINE_S
        while len(self.ends) < len(self.codes):
            assert time.monotonic() < deadline, sorted(set(self.codes) - set(self.ends))
            for message in self.agent.messages(1.0):
                self.hear(message)
                if len(self.ends) == len(self.codes):
                    break
        self.agent.close()


@pytest.mark.parametrize("seed", range(3))
def test_the_agent_killed_at_random_instants(state_dir: Path, seed: int) -> None:
    """DESIGN, promise 2: every job ran exactly once to its end and every exit code is right."""
    fleet = Fleet(state_dir, seed)
    for round_ in range(15):
        for number in range(round_ * 5, round_ * 5 + 5):
            fleet.begin(number)
        fleet.listen(fleet.random.uniform(0.0, 0.06))
        fleet.replace_agent()
    fleet.finish()
    assert runs(fleet.ran) == dict.fromkeys(fleet.codes, 1)
    assert {name: end["exit"]["code"] for name, end in fleet.ends.items()} == fleet.codes


@pytest.mark.parametrize("seed", range(3))
def test_the_spawner_killed_at_random_instants(state_dir: Path, seed: int) -> None:
    fleet = Fleet(state_dir, seed)
    for round_ in range(20):
        for number in range(round_ * 5, round_ * 5 + 5):
            fleet.begin(number)
        fleet.listen(fleet.random.uniform(0.0, 0.03))
        pid = fleet.agent.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            kill(int(child))
    fleet.finish()
    assert runs(fleet.ran) == dict.fromkeys(fleet.codes, 1)
    assert {name: end["exit"]["code"] for name, end in fleet.ends.items()} == fleet.codes


@pytest.mark.parametrize("seed", range(3))
def test_supervisors_killed_at_random_instants(state_dir: Path, seed: int) -> None:
    """Nothing runs twice, what is lost says so, and no process is left of it."""
    fleet = Fleet(state_dir, seed)
    for round_ in range(12):
        for number in range(round_ * 5, round_ * 5 + 5):
            fleet.begin(number)
        fleet.listen(fleet.random.uniform(0.0, 0.05))
        for pid in supervisors(state_dir, fleet.agent.process.pid):
            if fleet.random.random() < 0.5:
                kill(pid)
    fleet.finish()
    ran = runs(fleet.ran)
    assert max(ran.values()) == 1
    lost = {name for name, end in fleet.ends.items() if end["state"] == "lost"}
    # A child that is still at the gate looks like a supervisor, and may have been hit itself.
    hit = {name for name, end in fleet.ends.items() if end["exit"]["signal"] == signal.SIGKILL}
    ended = {name: fleet.ends[name]["exit"]["code"] for name in set(fleet.ends) - lost - hit}
    assert ended == {name: fleet.codes[name] for name in ended}
    assert set(ran) >= set(ended)
    assert all(fleet.ends[name]["exit"]["code"] is None for name in lost)
    for name in lost:
        assert not marked(fleet.agent.core_id, name)


def supervisors(state: Path, agent: int) -> list[int]:
    """Live supervisors of a node, found by the descriptor of their attempt's lock.

    The agent opens a lock too, for the moment in which it looks whether anybody holds it.
    """
    found = []
    folder = str(next(state.glob("root/*/core1-*")))
    for path in Path("/proc").glob("[0-9]*"):
        try:
            links = [os.readlink(path / "fd" / fd) for fd in os.listdir(path / "fd")]
        except OSError:
            continue
        if any(link.startswith(folder + "/") and link.endswith("/lock") for link in links):
            found.append(int(path.name))
    return [pid for pid in found if pid != agent]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
