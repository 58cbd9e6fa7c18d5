"""Who drives a node, what outlives whom, and what a new agent finds: over real processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.agent import DEADLINE_S, REPO, Agent, Message, python


@pytest.fixture
def open_agent(state_dir: Path) -> Iterator[Callable[..., Agent]]:
    """Makes agents of one node; ends what they left running."""
    agents: list[Agent] = []

    def make(core_id: str = "core1", **hello: Any) -> Agent:
        agent = Agent(state_dir, core_id)
        agents.append(agent)
        agent.hello(**hello)
        return agent

    yield make
    for agent in agents:
        agent.__exit__()
    end_all(state_dir)


def end_all(state: Path) -> None:
    """Kill supervisors and workloads that a test left on its node."""
    for path in state.glob("root/*/*/*/identity.json"):
        identity = json.loads(path.read_text())
        for process in (identity["supervisor"], identity):
            if ticks_of(process["pid"]) == process["ticks"]:
                os.kill(process["pid"], signal.SIGKILL)


def ticks_of(pid: int) -> int | None:
    """When a process began, in clock ticks; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except OSError:
        return None


def until(truth: Callable[[], Any]) -> Any:
    """Wait for the world to come to a state that nobody announces."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = truth()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came true")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def identity(state: Path, attempt: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        next(state.glob(f"root/*/*/{attempt}/identity.json")).read_text()
    )
    return found


def record_of(agent: Agent, attempt: str) -> Message:
    return next(r for r in agent.welcome["attempts"] if r["attempt"] == attempt)


# hello


def test_hello_tells_the_node_and_chooses_a_state_folder(tmp_path: Path) -> None:
    """NODE.md, the state folder: ROOT is chosen once; the core stores its path and root_id."""
    environment = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with Agent(tmp_path, env=environment) as agent:
        welcome = agent.hello(root=None)
        assert welcome["granted"] is True
        assert welcome["root"]["state"] == "new"
        chosen = {"path": welcome["root"]["path"], "id": welcome["root"]["id"]}
        assert welcome["host"]["uid"] == os.getuid()
    with Agent(tmp_path, env=environment) as agent:
        again = agent.hello(root=chosen, epoch=2)
        assert again["root"] == {**chosen, "state": "ok"}
        assert (again["host_id"], again["boot"]) == (welcome["host_id"], welcome["boot"])
    if not chosen["path"].startswith(str(tmp_path)):
        shutil.rmtree(Path(chosen["path"]) / welcome["host_id"] / agent.core_id)


def test_another_state_folder_is_no_evidence(state_dir: Path) -> None:
    """NODE.md, the state folder: evidence only under the same root_id; else state missing."""
    with Agent(state_dir) as agent:
        refused = agent.hello(root={"path": str(state_dir / "root"), "id": "another"})
        assert (refused["t"], refused["code"]) == ("refused", "state_missing")
        assert agent.process.wait(DEADLINE_S) == 0
    with Agent(state_dir) as agent:
        gone = {"path": str(state_dir / "gone"), "id": "bench"}
        assert agent.hello(root=gone)["code"] == "state_missing"


def test_a_version_range_without_ours_is_refused(state_dir: Path) -> None:
    """NODE.md, the agent: hello negotiates a version range."""
    with Agent(state_dir) as agent:
        assert agent.hello(v=[7, 9])["code"] == "version"
    with Agent(state_dir) as agent:
        assert agent.hello(v=[1, 9])["v"] == 1


def test_a_state_folder_of_a_newer_format_is_refused(state_dir: Path) -> None:
    with Agent(state_dir) as agent:
        (state_dir / "root" / "root.json").write_text('{"root_id":"bench","format":99}')
        assert agent.hello()["code"] == "version"


def test_an_older_epoch_is_refused(open_agent: Callable[..., Agent]) -> None:
    """NODE.md, identity: agents refuse a lower epoch."""
    open_agent(epoch=5)
    refused = open_agent(epoch=4)
    assert (refused.welcome["t"], refused.welcome["code"]) == ("refused", "epoch")


def test_one_agent_per_core_the_newer_ends_the_older(open_agent: Callable[..., Agent]) -> None:
    older = open_agent()
    newer = open_agent()
    assert newer.welcome["granted"] is True
    assert older.process.wait(DEADLINE_S) == 0
    assert not [m for m in older.messages(1) if m["t"] == "fenced"]


def test_an_older_agent_that_is_suspended_gives_way(open_agent: Callable[..., Agent]) -> None:
    older = open_agent()
    older.process.send_signal(signal.SIGSTOP)
    newer = open_agent()
    assert newer.welcome["granted"] is True
    assert older.process.wait(DEADLINE_S) == 0


def test_the_agent_ends_when_the_core_closes_the_channel(open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    below = children(agent.process.pid)
    agent.close()
    assert agent.process.returncode == 0
    until(lambda: not any(alive(pid) for pid in below))


def test_a_hangup_ends_nothing(open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    agent.start("a1", "sleep 0.3; exit 3")
    agent.process.send_signal(signal.SIGHUP)
    assert agent.end_of("a1")["exit"]["code"] == 3


def test_a_core_that_says_nothing_for_a_minute_is_gone(state_dir: Path) -> None:
    """The agent ends by itself, though the channel stays open; shortened here by its constant."""
    main = "import sys; sys.path.insert(0, %r); from flextui.agent import channel"
    main += "; channel.SILENCE_S = 0.6; from flextui.agent.__main__ import main; main()"
    process = subprocess.Popen(
        [python(), "-c", main % str(REPO)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.wait(DEADLINE_S) == 0
    assert process.stdin is not None
    process.stdin.close()


def test_garbage_is_answered_and_a_line_without_end_is_refused(
    open_agent: Callable[..., Agent],
) -> None:
    agent = open_agent()
    assert agent.process.stdin is not None
    agent.process.stdin.write(b"not json\n[1]\n{}\n\xff\xfe\n")
    assert agent.ask("ping")["t"] == "ok"
    assert len([m for m in agent.seen if m.get("code") == "unknown"]) == 4
    with contextlib.suppress(BrokenPipeError):
        agent.process.stdin.write(b"x" * (3 << 20))
        agent.process.stdin.flush()
    assert agent.wait(lambda m: m["t"] == "refused")["code"] == "version"


def test_many_records_are_told_within_the_bound_of_a_line(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    agent = open_agent()
    agent.start("a0", ["/bin/true"])
    agent.end_of("a0")
    agent.close()
    first = next(state_dir.glob("root/*/core1-*/a0"))
    known = json.loads((first / "identity.json").read_text())
    for number in range(1, 900):
        folder = first.parent / f"a{number}"
        folder.mkdir()
        (folder / "identity.json").write_text(json.dumps({**known, "attempt": f"a{number}"}))
        shutil.copy(first / "exit.json", folder)
    agent = open_agent()
    assert agent.welcome["more"] > 0
    told = {record["attempt"] for record in agent.welcome["attempts"]}
    agent.ask("ping")
    told |= {m["attempt"] for m in agent.seen if m["t"] == "attempt"}
    assert told == {f"a{number}" for number in range(900)}


# who drives


def test_a_second_core_drives_nothing_and_is_told_who_does(
    open_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    """DESIGN, one fleet one driver: the second gets telemetry only, starts and kills nothing."""
    first = open_agent("core1", owner="alice@head")
    first.start("a1", ["/bin/sleep", "100"])
    second = open_agent("core2", owner="bob@laptop", sample_s=0.1)
    assert second.welcome["granted"] is False
    assert second.welcome["driver"]["owner"] == "alice@head"
    for refused in (
        second.start("b1", f"touch {tmp_path}/ran"),
        second.ask("stop", attempt="a1", grace_s=0, why=""),
        second.ask("abandon", attempt="b1"),
    ):
        assert refused["code"] == "not_driver"
        assert "alice@head" in refused["text"]
    assert second.ask("ping")["t"] == "ok"
    second.wait(lambda m: m["t"] == "sample")
    assert first.ask("ping")["t"] == "ok"
    assert not (tmp_path / "ran").exists()
    first.ask("stop", attempt="a1", grace_s=0, why="")


def test_a_takeover_is_explicit_and_fences_the_former_driver(
    open_agent: Callable[..., Agent],
) -> None:
    """DESIGN, one fleet one driver: takeover is explicit, and the first is fenced."""
    first = open_agent("core1", owner="alice@head")
    second = open_agent("core2", owner="bob@laptop", takeover=True)
    assert second.welcome["granted"] is True
    assert first.wait(lambda m: m["t"] == "fenced")["by"] == "bob@laptop"
    assert first.process.wait(DEADLINE_S) == 0
    again = open_agent("core1", owner="alice@head")
    assert again.welcome["granted"] is False
    assert again.start("a1", ["/bin/true"])["code"] == "not_driver"


def test_a_core_that_left_with_nothing_behind_frees_the_node(
    open_agent: Callable[..., Agent],
) -> None:
    first = open_agent("core1")
    first.send({"t": "bye", "release": True, "suspend_leases": True})
    assert first.process.wait(DEADLINE_S) == 0
    assert open_agent("core2").welcome["granted"] is True


def test_a_core_that_left_with_work_behind_keeps_the_node(
    open_agent: Callable[..., Agent],
) -> None:
    first = open_agent("core1")
    first.start("a1", ["/bin/sleep", "100"])
    first.send({"t": "bye", "release": True, "suspend_leases": True})
    assert first.process.wait(DEADLINE_S) == 0
    assert open_agent("core2").welcome["granted"] is False


def test_a_core_in_touch_lately_keeps_the_node(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """The record is held for a minute after the driver was in touch, and not for ever."""
    open_agent("core1").close()
    assert open_agent("core2").welcome["granted"] is False
    lock = next(state_dir.glob("root/*/core1-*/agent.lock"))
    os.utime(lock, (time.time() - 61, time.time() - 61))
    assert open_agent("core2").welcome["granted"] is True


def test_a_core_of_this_host_that_died_frees_the_node_whatever_it_left(
    open_agent: Callable[..., Agent],
) -> None:
    """core_boot lets the agent see that a core on the same host is dead."""
    probe = open_agent("core0")
    boot = probe.welcome["boot"]
    probe.send({"t": "bye", "release": True, "suspend_leases": True})
    probe.process.wait(DEADLINE_S)
    core = subprocess.Popen(["/bin/sleep", "100"])
    process = {"boot": boot, "pid": core.pid, "ticks": ticks_of(core.pid)}
    first = open_agent("core1", core_boot=process)
    first.start("a1", ["/bin/sleep", "100"])
    first.close()
    assert open_agent("core2").welcome["granted"] is False
    core.kill()
    core.wait()
    assert open_agent("core2").welcome["granted"] is True


def test_attempts_of_a_lost_state_directory_are_adopted_by_name(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """NODE.md, identity: a new core_id takes the old one's attempts over only explicitly."""
    first = open_agent("old")
    first.start("ran", "echo done; exit 9")
    first.end_of("ran")
    first.start("runs", "sleep 0.5; exit 8")
    first.start("stays", ["/bin/sleep", "100"])
    second = open_agent("new", takeover=True, adopt=[first.core_id, "never-was"])
    assert {r["attempt"] for r in second.welcome["attempts"]} == {"ran", "runs", "stays"}
    assert record_of(second, "ran")["exit"]["code"] == 9
    assert second.end_of("runs")["exit"]["code"] == 8, "its supervisor finds the new agent"
    second.ask("stop", attempt="stays", grace_s=0, why="")
    assert second.end_of("stays")["exit"]["why"] == "stopped"
    assert not list(state_dir.glob("root/*/old-*/stays"))


def test_a_start_on_its_way_is_stopped_by_a_takeover(
    open_agent: Callable[..., Agent], tmp_path: Path, state_dir: Path
) -> None:
    """Nothing of a former driver starts after the takeover, though its spawner had the request."""
    first = open_agent("core1")
    (spawner,) = children(first.process.pid)
    os.kill(spawner, signal.SIGSTOP)
    fields = first.start_fields("a1", f"touch {tmp_path}/ran")
    first.send({"t": "start", "id": "s", **fields})
    first.ask("ping")
    second = open_agent("core2", takeover=True)
    assert second.welcome["granted"] is True
    os.kill(spawner, signal.SIGCONT)
    buried = until(lambda: next(state_dir.glob("root/*/core1-*/a1/tombstone"), None))
    assert json.loads(buried.read_text())["code"] == "not_driver"
    assert not (tmp_path / "ran").exists()


# what outlives whom


def test_a_workload_outlives_the_agent_and_its_end_is_found(
    open_agent: Callable[..., Agent],
) -> None:
    """DESIGN, nothing acknowledged is lost: the next agent collects exit codes and logs."""
    first = open_agent()
    first.start("a1", "sleep 0.5; echo still here; exit 11")
    first.start("a2", ["/bin/sleep", "100"])
    first.kill()
    second = open_agent()
    assert record_of(second, "a2")["state"] == "running"
    end = second.end_of("a1")
    assert end["exit"]["code"] == 11
    assert second.log("a1")[0] == b"still here\n"
    second.ask("stop", attempt="a2", grace_s=0, why="")
    assert second.end_of("a2")["exit"]["why"] == "stopped"


def test_an_end_while_no_agent_is_there_is_told_at_hello(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    first = open_agent()
    first.start("a1", "sleep 0.2; exit 12")
    supervisor = identity(state_dir, "a1")["supervisor"]["pid"]
    first.kill()
    until(lambda: not alive(supervisor))
    record = record_of(open_agent(), "a1")
    assert (record["state"], record["exit"]["code"]) == ("ended", 12)


def test_a_killed_spawner_is_replaced_and_loses_no_start(
    open_agent: Callable[..., Agent],
) -> None:
    agent = open_agent()
    for number in range(5):
        (spawner,) = children(agent.process.pid)
        os.kill(spawner, signal.SIGSTOP)
        fields = agent.start_fields(f"a{number}", f"exit {number}")
        agent.send({"t": "start", "id": f"s{number}", **fields})
        agent.ask("ping")
        os.kill(spawner, signal.SIGKILL)
        assert agent.end_of(f"a{number}")["exit"]["code"] == number


def test_a_killed_supervisor_takes_nothing_along_but_the_attempt_is_lost(
    open_agent: Callable[..., Agent], state_dir: Path, tmp_path: Path
) -> None:
    """NODE.md, ending: no EPIPE for the workload; then kill by mark until two scans find none."""
    first = open_agent()
    out = tmp_path / "progress"
    child = f"setsid sh -c 'echo $$ > {tmp_path}/child; exec sleep 100' &"
    first.start("a1", f"{child} while :; do echo out; echo tick >> {out}; sleep 0.02; done")
    until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    known = identity(state_dir, "a1")
    first.kill()
    os.kill(known["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: not alive(known["supervisor"]["pid"]))
    size = out.stat().st_size
    until(lambda: out.stat().st_size > size + 100)
    second = open_agent()
    end = second.end_of("a1")
    assert end["state"] == "lost"
    assert (end["exit"]["code"], end["exit"]["signal"]) == (None, None)
    assert end["exit"]["why"] == "supervisor_lost"
    assert not alive(known["pid"])
    assert not alive(int((tmp_path / "child").read_text()))
    assert second.log("a1")[0].startswith(b"out\n")


def test_a_killed_supervisor_is_noticed_while_the_agent_runs(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    agent = open_agent()
    # A child without the mark in its environment, found by its session while the leader lives.
    agent.start("a1", "env -i sleep 100 & env -i sleep 100")
    known = identity(state_dir, "a1")
    until(lambda: len(children(known["pid"])) == 2)
    unmarked = children(known["pid"])
    os.kill(known["supervisor"]["pid"], signal.SIGKILL)
    assert agent.end_of("a1")["state"] == "lost"
    assert not any(alive(pid) for pid in [known["pid"], *unmarked])


def test_an_attempt_of_another_boot_is_lost_with_that_reason(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """NODE.md: (boot, pid, ticks) is a process; none of another boot lives."""
    first = open_agent()
    first.start("a1", ["/bin/true"])
    first.end_of("a1")
    first.kill()
    path = next(state_dir.glob("root/*/core1-*/a1"))
    known = json.loads((path / "identity.json").read_text())
    (path / "identity.json").write_text(json.dumps({**known, "boot": "earlier.1.1"}))
    (path / "exit.json").write_bytes(b"\0" * 4096)
    end = open_agent().end_of("a1")
    assert (end["state"], end["exit"]["why"], end["exit"]["code"]) == ("lost", "boot", None)


def test_an_attempt_whose_supervisor_lives_in_another_container_is_not_lost(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """The lock is the truth: another boot string alone ends nothing."""
    first = open_agent()
    first.start("a1", ["/bin/sleep", "100"])
    path = next(state_dir.glob("root/*/core1-*/a1/identity.json"))
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "boot": "earlier.1.1"}))
    first.kill()
    second = open_agent()
    second.ask("stop", attempt="a1", grace_s=0, why="")
    assert second.end_of("a1")["exit"]["why"] == "stopped"
    path.write_text(json.dumps(known))


def test_a_hidden_home_stops_starts_and_nothing_else(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """NODE.md, the state folder: hidden in the middle of a run, nothing is replaced or lost."""
    agent = open_agent()
    agent.start("a1", "sleep 0.5; echo end; exit 13")
    os.rename(state_dir / "root", state_dir / "hidden")
    (state_dir / "root").mkdir()
    assert agent.start("a2", ["/bin/true"])["code"] == "state_missing"
    assert agent.end_of("a1")["exit"]["code"] == 13
    assert agent.log("a1")[0] == b"end\n"
    refused = open_agent()
    assert refused.welcome["code"] == "state_missing"
    (state_dir / "root").rmdir()
    os.rename(state_dir / "hidden", state_dir / "root")
    assert record_of(open_agent(), "a1")["exit"]["code"] == 13


# leases


def test_a_lease_that_nobody_renews_ends_the_attempt(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """NODE.md, losing sight: with fence the supervisor kills its attempt L after the request."""
    agent = open_agent()
    agent.start("a1", ["/bin/sleep", "100"], lease_s=1.0, grace_s=5)
    supervisor = identity(state_dir, "a1")["supervisor"]["pid"]
    agent.kill()
    until(lambda: not alive(supervisor))
    end = open_agent().end_of("a1")
    assert end["exit"]["why"] == "lease"
    assert end["exit"]["signal"] == signal.SIGTERM


def test_a_lease_that_is_granted_goes_on(open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    agent.start("a1", ["/bin/sleep", "100"], lease_s=3.0)
    begun = time.monotonic()
    for message in agent.messages():
        if message["t"] == "renew":
            agent.send({"t": "grant", "attempt": "a1", "seq": message["seq"]})
            if time.monotonic() - begun > 4.0:
                break
    assert agent.ask("abandon", attempt="a1")["record"]["state"] == "running"


def test_a_grant_counts_from_when_it_was_asked_for(open_agent: Callable[..., Agent]) -> None:
    """NODE.md, losing sight: L after it *sent* the last renewal request that was granted."""
    agent = open_agent()
    agent.start("a1", ["/bin/sleep", "100"], lease_s=4.5)
    first = agent.wait(lambda m: m["t"] == "renew")
    agent.wait(lambda m: m["t"] == "renew" and m["seq"] == first["seq"] + 1)
    agent.send({"t": "grant", "attempt": "a1", "seq": first["seq"]})
    end = agent.end_of("a1")
    assert end["exit"]["why"] == "lease"
    assert end["exit"]["ran_s"] < 5.9, "counted from the grant it would be six seconds"


def test_a_clean_shutdown_of_the_core_suspends_leases_until_it_returns(
    open_agent: Callable[..., Agent],
) -> None:
    """NODE.md, losing sight: a clean shutdown suspends leases durably."""
    first = open_agent()
    first.start("a1", ["/bin/sleep", "100"], lease_s=2.0)
    first.send({"t": "bye", "release": False, "suspend_leases": True})
    assert first.process.wait(DEADLINE_S) == 0
    time.sleep(3.0)
    second = open_agent()
    assert record_of(second, "a1")["state"] == "running"
    assert second.end_of("a1")["exit"]["why"] == "lease", "from its return on it counts again"


# devices


@pytest.fixture
def uuid() -> Iterator[str]:
    """A device that no other test has; what killed supervisors leave of its claims goes."""
    name = f"GPU-{os.getpid()}-{time.time_ns()}"
    yield name
    for litter in Path("/var/tmp/flextui-claims").glob(f"*/{name}@*"):
        litter.unlink(missing_ok=True)


def claim(uuid: str, amount: float = 1.0) -> list[dict[str, Any]]:
    return [{"uuid": uuid, "amount": amount}]


def test_independent_cores_cannot_double_book_a_device(
    open_agent: Callable[..., Agent], tmp_path_factory: pytest.TempPathFactory, uuid: str
) -> None:
    """NODE.md, starting: a claim is refused as `device claimed by X`."""
    first = open_agent()
    assert first.start("a1", ["/bin/sleep", "100"], devices=claim(uuid))["t"] == "ok"
    other_state = tmp_path_factory.mktemp("other")
    with Agent(other_state, "core2") as second:
        second.hello()
        refused = second.start("b1", ["/bin/true"], devices=claim(uuid))
        assert (refused["code"], refused["device"]) == ("claimed", uuid)
        assert refused["by"] == first.welcome["host"]["user"]
        first.ask("stop", attempt="a1", grace_s=0, why="")
        first.end_of("a1")
        assert second.start("b2", ["/bin/true"], devices=claim(uuid))["t"] == "ok"
        second.end_of("b2")


def test_a_device_is_free_the_moment_its_attempt_is_told_to_have_ended(
    open_agent: Callable[..., Agent], uuid: str
) -> None:
    agent = open_agent()
    for number in range(40):
        assert agent.start(f"a{number}", ["/bin/true"], devices=claim(uuid))["t"] == "ok"
        agent.end_of(f"a{number}")


def test_shares_of_a_device_add_up_to_one(open_agent: Callable[..., Agent], uuid: str) -> None:
    agent = open_agent()
    for number in range(2):
        answer = agent.start(f"a{number}", ["/bin/sleep", "100"], devices=claim(uuid, 0.5))
        assert answer["t"] == "ok"
    assert agent.start("a2", ["/bin/true"], devices=claim(uuid, 0.1))["code"] == "claimed"


def test_a_claim_survives_its_supervisor_with_the_workload(
    open_agent: Callable[..., Agent], state_dir: Path, uuid: str
) -> None:
    """NODE.md, starting: the workload inherits the lock; it survives a supervisor's kill -9."""
    agent = open_agent()
    agent.start("a1", ["/bin/sleep", "100"], devices=claim(uuid))
    known = identity(state_dir, "a1")
    until(lambda: b"sleep" in Path(f"/proc/{known['pid']}/comm").read_bytes())
    agent.process.send_signal(signal.SIGSTOP)  # so that it does not clean up
    os.kill(known["supervisor"]["pid"], signal.SIGKILL)
    until(lambda: not alive(known["supervisor"]["pid"]))
    other = open_agent_elsewhere(state_dir)
    assert other.start("b1", ["/bin/true"], devices=claim(uuid))["code"] == "claimed"
    os.kill(known["pid"], signal.SIGKILL)
    until(lambda: not alive(known["pid"]))
    assert other.start("b2", ["/bin/true"], devices=claim(uuid))["t"] == "ok"
    other.end_of("b2")
    other.close()
    agent.process.send_signal(signal.SIGCONT)


def open_agent_elsewhere(state: Path) -> Agent:
    (state / "elsewhere").mkdir()
    agent = Agent(state / "elsewhere", "core9")
    agent.hello()
    return agent


# a full disk


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.requires("root")
def test_a_full_disk_refuses_starts_and_loses_no_exit(tmp_path: Path) -> None:
    """ENOSPC on the identity refuses the start; exits own their space; logs lose bytes only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        with Agent(disk) as agent:
            agent.hello()
            lines = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 5"
            agent.start("a1", lines)
            until(lambda: agent.log("a1")[0])
            fill(disk / "filler")
            refused = agent.start("a2", ["/bin/true"])
            assert refused["code"] == "no_space"
            end = agent.end_of("a1")
            assert end["exit"]["code"] == 5
            data, messages = agent.log("a1")
            gaps = sum(m["to"] - m["from"] for m in messages if m["t"] == "gap")
            assert len(data) + gaps == end["log"]["out"]
            agent.close()
        with Agent(disk) as agent:
            agent.hello()
            assert record_of(agent, "a1")["exit"]["code"] == 5, "a full disk keeps no agent out"
            os.unlink(disk / "filler")
            assert agent.start("a3", ["/bin/true"])["t"] == "ok"
            agent.end_of("a3")
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# the program itself


def test_the_agent_needs_only_the_standard_library_of_python_3_8() -> None:
    """NODE.md, the agent: no asyncio; nothing else of flextui; nothing that only builds enums."""
    code = (
        "import sys; sys.path.insert(0, %r)\n"
        "import flextui.agent.session, flextui.agent.supervisor, flextui.agent.sample\n"
        "print('\\n'.join(sys.modules))"
    )
    done = subprocess.run(
        [python(), "-I", "-S", "-c", code % str(REPO)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    ours = {name for name in modules if name.startswith("flextui")}
    assert ours - {"flextui"} == {name for name in ours if name.startswith("flextui.agent")}
    for costly in ("asyncio", "typing", "json", "socket", "selectors", "enum", "re", "subprocess"):
        assert costly not in modules


def test_the_agent_works_from_a_zipapp_under_another_name(tmp_path: Path) -> None:
    package = tmp_path / "app"
    shutil.copytree(
        REPO / "flextui" / "agent",
        package / "flextui_agent",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (package / "__main__.py").write_text("from flextui_agent.__main__ import main\nmain()\n")
    shutil.make_archive(str(tmp_path / "agent"), "zip", package)
    hello = {"t": "hello", "v": [1, 1], "core_id": "c", "epoch": 1}
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "root.json").write_text('{"root_id":"r","format":1}')
    root = {"path": str(tmp_path / "root"), "id": "r"}
    done = subprocess.run(
        [python(), "-I", str(tmp_path / "agent.zip")],
        input=json.dumps({**hello, "root": root}).encode()
        + b'\n{"t":"check","id":1}\n{"t":"bye"}\n',
        capture_output=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["t"] == "hello"


def test_a_check_answers_and_holds_nothing_up(open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    agent.send({"t": "check", "id": "c"})
    assert agent.ask("ping")["t"] == "ok"
    answer = agent.wait(lambda m: m.get("id") == "c")
    assert answer["now_at"] > 0
    assert {"state", "disk", "claims"} <= {check["name"] for check in answer["checks"]}


def test_who_tidies_by_age_is_kept_out_while_anything_lives(
    open_agent: Callable[..., Agent], state_dir: Path
) -> None:
    """A state folder in /var/tmp outlives the age at which systemd-tmpfiles removes files."""
    agent = open_agent()
    agent.start("a1", ["/bin/sleep", "100"])
    known = identity(state_dir, "a1")
    fd = os.open(state_dir / "root", os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    agent.kill()
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for process in (known["supervisor"], known):
        os.kill(process["pid"], signal.SIGKILL)
    until(lambda: not alive(known["supervisor"]["pid"]))
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


def test_a_request_that_makes_no_sense_is_refused_with_its_fault(
    open_agent: Callable[..., Agent],
) -> None:
    agent = open_agent()
    refused = agent.start("a1", ["/bin/true"], devices=[{"uuid": "GPU-1", "amount": "all"}])
    assert refused["code"] == "failed"
    assert "all" in refused["text"]
    assert agent.start("a2", [])["code"] == "failed"
    assert agent.ask("tail", attempt="a1")["t"] == "error"
