"""Names come again after a restore, a copy or a takeover: the nonce says whose attempt it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.test_agent_sessions import alive, children, end_all, identity
from tests.bench.agent import DEADLINE_S, Agent, Message

OURS, THEIRS = "00000000000000aa", "00000000000000bb"
SLEEP = ["/bin/sleep", "100"]

Opener = Callable[..., Agent]


@pytest.fixture
def opened(state_dir: Path) -> Iterator[Opener]:
    """Makes agents of one node; ends what they left running."""
    agents: list[Agent] = []

    def make(core_id: str = "core1", **hello: Any) -> Agent:
        agents.append(Agent(state_dir, core_id))
        agents[-1].hello(**hello)
        return agents[-1]

    yield make
    for agent in agents:
        agent.__exit__()
    end_all(state_dir)


def stop(agent: Agent, attempt: str, nonce: str) -> Message:
    return agent.ask("stop", attempt=attempt, nonce=nonce, grace_s=0, why="")


def abandon(agent: Agent, attempt: str, nonce: str) -> Message:
    return agent.ask("abandon", attempt=attempt, nonce=nonce)


def test_every_record_says_whose_it_is(opened: Opener) -> None:
    agent = opened()
    assert agent.start("a1", "true", nonce=OURS)["record"]["nonce"] == OURS
    assert agent.end_of("a1")["nonce"] == OURS
    assert agent.start("a2", SLEEP)["record"]["nonce"] == "", "from before there were any"
    assert abandon(agent, "a3", OURS)["record"]["nonce"] == OURS
    agent.kill()
    again = opened()
    assert {r["attempt"]: r["nonce"] for r in again.welcome["attempts"]} == {"a1": OURS, "a2": ""}


@pytest.mark.parametrize("state", ["running", "ended", "acknowledged"])
def test_a_namesake_is_neither_started_nor_told_nor_stopped(
    opened: Opener, state_dir: Path, tmp_path: Path, state: str
) -> None:
    agent = opened()
    agent.start("a1", SLEEP if state == "running" else ["/bin/true"], nonce=THEIRS)
    if state != "running":
        agent.end_of("a1")
    if state == "acknowledged":
        agent.send({"t": "ack", "attempts": ["a1"]})
    assert agent.start("a1", f"touch {tmp_path}/ran", nonce=OURS)["code"] == "taken"
    assert stop(agent, "a1", OURS)["code"] == "taken"
    assert abandon(agent, "a1", OURS)["code"] == "taken"
    theirs = abandon(agent, "a1", THEIRS)["record"]
    assert theirs["state"] == ("running" if state == "running" else "ended")
    assert not (tmp_path / "ran").exists()
    if state == "running":
        assert alive(identity(state_dir, "a1")["pid"])


def test_a_namesake_that_is_about_to_start_is_left_alone(
    opened: Opener, state_dir: Path, tmp_path: Path
) -> None:
    agent = opened()
    (spawner,) = children(agent.process.pid)
    os.kill(spawner, signal.SIGSTOP)
    fields = agent.start_fields("a1", SLEEP, nonce=THEIRS)
    agent.send({"t": "start", "id": "theirs", **fields})
    assert agent.start("a1", f"touch {tmp_path}/ran", nonce=OURS)["code"] == "taken"
    assert stop(agent, "a1", OURS)["code"] == "taken"
    assert abandon(agent, "a1", OURS)["code"] == "taken"
    os.kill(spawner, signal.SIGCONT)
    assert agent.wait(lambda m: m.get("id") == "theirs")["record"]["nonce"] == THEIRS
    assert alive(identity(state_dir, "a1")["pid"])
    assert not (tmp_path / "ran").exists()


def test_a_namesake_that_another_agents_supervisor_started_meanwhile_is_told_apart(
    opened: Opener, tmp_path: Path
) -> None:
    """The start of a restored core meets one that its former agent had under way."""
    first = opened()
    (spawner,) = children(first.process.pid)
    os.kill(spawner, signal.SIGSTOP)
    fields = first.start_fields("a1", SLEEP, nonce=THEIRS)
    first.send({"t": "start", "id": "theirs", **fields})
    first.ask("ping")
    second = opened()
    (other,) = children(second.process.pid)
    os.kill(other, signal.SIGSTOP)
    fields = second.start_fields("a1", f"touch {tmp_path}/ran", nonce=OURS)
    second.send({"t": "start", "id": "ours", **fields})
    second.ask("ping")
    os.kill(spawner, signal.SIGCONT)
    assert second.wait(lambda m: m.get("id") == "ours")["code"] == "taken"
    assert second.wait(lambda m: m["t"] == "attempt")["nonce"] == THEIRS
    os.kill(other, signal.SIGCONT)
    assert abandon(second, "a1", THEIRS)["record"]["state"] == "running"
    assert not (tmp_path / "ran").exists()


def test_a_tombstone_is_one_attempts(opened: Opener) -> None:
    agent = opened()
    assert abandon(agent, "a1", THEIRS)["record"]["state"] == "never"
    assert agent.start("a1", "true", nonce=OURS)["code"] == "taken"
    assert abandon(agent, "a1", OURS)["code"] == "taken"
    assert agent.start("a1", "true", nonce=THEIRS)["code"] == "tombstone"
    assert agent.start("a2", "true", nonce=THEIRS, workdir="/nowhere")["code"] == "no_workdir"
    assert agent.start("a2", "true", nonce=OURS)["code"] == "taken"


def test_a_tombstone_that_a_full_disk_left_empty_answers_for_any(
    opened: Opener, state_dir: Path
) -> None:
    agent = opened()
    abandon(agent, "a1", THEIRS)
    next(state_dir.glob("root/*/core1-*/a1/tombstone")).write_bytes(b"")
    record = abandon(agent, "a1", OURS)["record"]
    assert (record["state"], record["nonce"]) == ("never", OURS)


def test_stop_tells_how_an_attempt_ended_that_is_over(opened: Opener) -> None:
    """A core that was copied learns of an end that its twin acknowledged long ago."""
    agent = opened()
    agent.start("a1", "exit 7", nonce=OURS)
    agent.end_of("a1")
    assert stop(agent, "a1", OURS)["record"]["exit"]["code"] == 7
    agent.send({"t": "ack", "attempts": ["a1"]})
    assert stop(agent, "a1", OURS)["record"]["exit"]["code"] == 7
    assert abandon(agent, "a1", OURS)["record"]["exit"]["code"] == 7
    agent.start("a2", SLEEP, nonce=OURS)
    assert "record" not in stop(agent, "a2", OURS), "its end is still to come"


# a takeover by a core that has attempts of the same names


def test_adopted_namesakes_get_a_name_of_their_own(opened: Opener, state_dir: Path) -> None:
    second = opened("new")
    second.start("a1", SLEEP, nonce=OURS)
    second.start("a2", "true", nonce=OURS)
    second.end_of("a2")
    second.send({"t": "ack", "attempts": ["a2"]})
    second.ask("ping")
    second.close()
    first = opened("old", takeover=True)
    first.start("a1", ["/bin/sh", "-c", "trap 'exit 5' TERM; sleep 100 & wait"], nonce=THEIRS)
    first.start("a2", "exit 3", nonce=THEIRS)
    first.start("a3", SLEEP, nonce=THEIRS)
    first.end_of("a2")

    third = opened("new", takeover=True, adopt=[first.core_id])
    assert {(r["attempt"], r["nonce"]) for r in third.welcome["attempts"]} == {
        ("a1", OURS),
        (f"a1_{first.core_id[:8]}", THEIRS),
        (f"a2_{first.core_id[:8]}", THEIRS),
        ("a3", THEIRS),
    }
    theirs = f"a1_{first.core_id[:8]}"
    assert stop(third, theirs, OURS)["code"] == "taken"
    third.ask("stop", attempt=theirs, nonce=THEIRS, grace_s=30, why="")
    end = third.end_of(theirs)
    assert (end["exit"]["code"], end["nonce"]) == (5, THEIRS)
    assert abandon(third, "a1", OURS)["record"]["state"] == "running"
    assert not [m for m in third.seen if m["t"] == "attempt" and m["attempt"] == "a1"]


def test_a_lost_namesake_takes_nobody_along(opened: Opener, state_dir: Path) -> None:
    """Both carry the same name as their mark: only the one without a supervisor is ended."""
    second = opened("new")
    second.start("a1", SLEEP, nonce=OURS)
    second.close()
    first = opened("old", takeover=True)
    first.start("a1", SLEEP, nonce=THEIRS)
    third = opened("new", takeover=True, adopt=[first.core_id])
    theirs = f"a1_{first.core_id[:8]}"
    known = identity(state_dir, theirs)
    os.kill(known["supervisor"]["pid"], signal.SIGKILL)
    end = third.end_of(theirs)
    assert (end["state"], end["nonce"]) == ("lost", THEIRS)
    assert not alive(known["pid"])
    assert alive(identity(state_dir, "a1")["pid"])


def test_a_renewal_of_an_adopted_namesake_goes_by_its_new_name(opened: Opener) -> None:
    second = opened("new")
    second.start("a1", SLEEP, nonce=OURS)
    second.close()
    first = opened("old", takeover=True)
    first.start("a1", SLEEP, nonce=THEIRS, lease_s=30.0)
    third = opened("new", takeover=True, adopt=[first.core_id])
    renewal = third.wait(lambda m: m["t"] == "renew", DEADLINE_S)
    assert (renewal["attempt"], renewal["nonce"]) == (f"a1_{first.core_id[:8]}", THEIRS)


# a start that was under way for long


def test_a_start_as_old_as_its_lease_is_refused_for_good(opened: Opener, tmp_path: Path) -> None:
    """The core may have replaced it: the silence before it is all that tells its age."""
    agent = opened()
    fields = agent.start_fields("a1", f"touch {tmp_path}/ran", nonce=OURS, lease_s=0.0001)
    agent.send({"t": "start", "id": "late", **fields})
    assert agent.wait(lambda m: m.get("id") == "late")["code"] == "stale"
    assert abandon(agent, "a1", OURS)["record"]["state"] == "never"
    assert agent.start("a1", f"touch {tmp_path}/ran", nonce=OURS, lease_s=60.0)["code"] == "stale"
    assert not (tmp_path / "ran").exists()
