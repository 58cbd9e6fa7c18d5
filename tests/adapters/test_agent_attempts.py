"""A real agent on the oldest Python runs real processes: starts, ends, limits, stops."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench.agent import DEADLINE_S, Agent


@pytest.fixture
def agent(state_dir: Path) -> Iterator[Agent]:
    with Agent(state_dir) as agent:
        assert agent.hello()["t"] == "hello"
        yield agent


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


def pid_in(path: Path) -> int:
    """The pid that a workload wrote into a file."""
    return int(until(lambda: path.exists() and path.read_text().strip()))


def open_files(pid: int) -> set[str]:
    return {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


# starting


def test_a_start_answers_with_the_running_attempt_and_pushes_its_end(agent: Agent) -> None:
    answer = agent.start("a1", "echo hi; echo oops >&2; exit 3", devices=[])
    assert answer["t"] == "ok"
    assert answer["record"]["attempt"] == "a1"
    assert answer["record"]["job"] == "tester/job"
    end = agent.end_of("a1")
    assert end["state"] == "ended"
    assert end["exit"]["code"] == 3
    assert end["exit"]["signal"] is None
    assert end["exit"]["why"] == "exit"
    assert end["log"] == {"out": 3, "err": 5}
    assert agent.log("a1")[0] == b"hi\n"
    assert agent.log("a1", "err")[0] == b"oops\n"


def test_a_signal_that_ends_the_workload_is_told_as_such(agent: Agent) -> None:
    agent.start("a1", "kill -USR1 $$")
    end = agent.end_of("a1")
    assert (end["exit"]["code"], end["exit"]["signal"]) == (None, signal.SIGUSR1)
    assert end["exit"]["why"] == "exit"


def test_the_same_start_again_runs_nothing_twice(agent: Agent, tmp_path: Path) -> None:
    """NODE.md, starting exactly once: idempotent while it starts, runs, has ended, and after."""
    command = f"echo x >> {tmp_path}/ran; sleep 0.2"
    fields = agent.start_fields("a1", command)
    for number in range(5):
        agent.send({"t": "start", "id": f"same{number}", **fields})
    for number in range(5):
        answer = agent.wait(lambda m, n=number: m.get("id") == f"same{n}")  # type: ignore[misc]
        assert answer["t"] == "ok"
    agent.end_of("a1")
    assert agent.start("a1", command)["record"]["state"] == "ended"
    agent.send({"t": "ack", "attempts": ["a1"]})
    assert agent.start("a1", command)["record"]["state"] == "ended"
    assert (tmp_path / "ran").read_text() == "x\n"


def test_what_does_not_match_is_refused(agent: Agent, tmp_path: Path) -> None:
    """NODE.md, starting: a start carries epoch and boot; any mismatch is refused."""
    command = f"touch {tmp_path}/ran"
    assert agent.start("a1", command, boot="another.1.1")["code"] == "boot_mismatch"
    assert agent.start("a2", command, epoch=99)["code"] == "epoch"
    assert agent.start("../a3", command)["code"] == "unknown_attempt"
    assert agent.start("a4", command, workdir=str(tmp_path / "none"))["code"] == "no_workdir"
    assert agent.start("a4", command)["code"] == "no_workdir", "a refused attempt stays refused"
    assert agent.ask("frobnicate")["code"] == "unknown"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("argv", "code"), [(["/no/such"], 127), (["no-such-program"], 127), (["/etc/passwd"], 126)]
)
def test_a_program_that_cannot_be_run_is_an_attempt_that_failed(
    agent: Agent, argv: list[str], code: int
) -> None:
    assert agent.start("a1", argv)["t"] == "ok"
    end = agent.end_of("a1")
    assert end["exit"]["code"] == code
    assert argv[0] in end["exit"]["text"]


def test_the_environment_is_a_login_the_jobs_and_the_mark(agent: Agent) -> None:
    agent.start("a1", ["/usr/bin/env"], env={"LR": "0.1", "GREETING": "grüß dich"})
    agent.end_of("a1")
    lines = dict(line.split("=", 1) for line in agent.log("a1")[0].decode().splitlines())
    assert lines["LR"] == "0.1"
    assert lines["GREETING"] == "grüß dich"
    assert lines["FLEXTUI_ATTEMPT"] == "a1"
    assert lines["CUDA_VISIBLE_DEVICES"] == ""
    assert set(lines) >= {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG"}


def test_the_workload_begins_clean(agent: Agent, tmp_path: Path) -> None:
    """No stdin, no signal ignored or blocked, a session of its own, the workdir asked for."""
    signals = "grep -E 'SigBlk|SigIgn' /proc/self/status"
    script = f"pwd; cat; {signals}; cut -d' ' -f5,6 /proc/$$/stat; echo $$"
    agent.start("a1", script, workdir=str(tmp_path))
    agent.end_of("a1")
    pwd, blocked, ignored, group, pid = agent.log("a1")[0].decode().splitlines()
    assert pwd == str(tmp_path)
    assert int(blocked.split()[1], 16) == 0
    assert int(ignored.split()[1], 16) == 0
    assert group == f"{pid} {pid}"


def test_what_the_cores_start_ignored_or_blocked_ends_there(state_dir: Path) -> None:
    """A shell's `&` ignores SIGINT and SIGQUIT, nohup SIGHUP: a job must be able to get them."""
    ignored = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        agent = Agent(state_dir)
    finally:
        signal.signal(signal.SIGQUIT, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    with agent:
        agent.hello()
        agent.start("a1", "grep -E 'SigBlk|SigIgn' /proc/self/status")
        agent.end_of("a1")
        masks = [int(line.split()[1], 16) for line in agent.log("a1")[0].splitlines()]
    assert masks == [0, 0]


def test_a_workload_is_pinned_to_those_of_its_cpus_that_it_may_use(agent: Agent) -> None:
    allowed = sorted(os.sched_getaffinity(agent.process.pid))
    asked = {
        "a1": [allowed[-1], 100_000],
        "a2": [100_000],
        "a3": [],
        "a4": None,
    }
    for name, cpu_set in asked.items():
        show = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
        agent.start(name, show, cpu_set=cpu_set)
        assert agent.end_of(name)["exit"]["code"] == 0
    found = [json.loads(agent.log(name)[0]) for name in asked]
    assert found == [allowed[-1:], allowed, allowed, allowed]


def test_a_broken_pipe_inside_the_workload_is_no_error(agent: Agent) -> None:
    agent.start("a1", "yes | head -n 1; echo done")
    agent.end_of("a1")
    assert agent.log("a1")[0] == b"y\ndone\n"
    assert agent.log("a1", "err")[0] == b""


def test_nothing_of_the_agents_channel_is_open_in_supervisor_or_workload(agent: Agent) -> None:
    """NODE.md, the agent: an inherited stdout would hold the SSH channel open."""
    answer = agent.start("a1", ["/bin/sleep", "100"])
    main = answer["record"]["pid"]
    until(lambda: b"sleep" in Path(f"/proc/{main}/comm").read_bytes())
    supervisor = int(Path(f"/proc/{main}/stat").read_text().rsplit(")", 1)[1].split()[1])
    ours = open_files(agent.process.pid)
    channel = {
        os.readlink(f"/proc/self/fd/{pipe.fileno()}")
        for pipe in (agent.process.stdin, agent.process.stdout)
        if pipe
    }
    assert channel & ours, "the channel is among the agent's own descriptors"
    for pid in (main, supervisor):
        assert not open_files(pid) & channel
    agent.ask("stop", attempt="a1", grace_s=0, why="")
    agent.end_of("a1")


# ending


def test_an_end_does_not_wait_for_a_process_that_holds_the_output_open(agent: Agent) -> None:
    """NODE.md, ending: never more than 2 s for the end of output (a daemon can hold it open)."""
    answer = agent.start("a1", "read line < /dev/zero & echo started; sleep 0.3; exit 5")
    main = answer["record"]["pid"]
    held = until(lambda: _open_output(main))
    try:
        end = agent.end_of("a1")
        assert end["exit"]["code"] == 5
        assert end["exit"]["ended_at"] - end["started_at"] < 4.0
        assert agent.log("a1")[0] == b"started\n"
    finally:
        os.close(held)


def _open_output(pid: int) -> int | None:
    try:
        return os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
    except OSError:
        return None


def test_processes_left_behind_are_ended_with_the_attempt(agent: Agent, tmp_path: Path) -> None:
    """What a job leaves running would share its devices with the next: it goes with the job."""
    daemon = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 100'"
    agent.start("a1", f"{daemon} & sleep 0.2; exit 4")
    end = agent.end_of("a1")
    assert end["exit"]["code"] == 4
    assert not alive(pid_in(tmp_path / "pid"))


def test_output_of_a_process_that_ends_soon_after_the_main_one_is_kept(agent: Agent) -> None:
    agent.start("a1", "(sleep 0.1; echo late) & exit 0")
    agent.end_of("a1")
    assert agent.log("a1")[0] == b"late\n"


def test_a_stop_reaches_the_whole_tree_daemons_included(agent: Agent, tmp_path: Path) -> None:
    """NODE.md, ending: a stop reaches the whole tree, daemonised children included."""
    daemon = f"setsid sh -c 'setsid sh -c \"echo \\$\\$ > {tmp_path}/pid; exec sleep 100\" &'"
    agent.start("a1", f"trap '' TERM; {daemon}; while :; do sleep 0.05; done")
    pid = pid_in(tmp_path / "pid")
    assert agent.ask("stop", attempt="a1", grace_s=0.5, why="alice asked")["t"] == "ok"
    end = agent.end_of("a1")
    assert end["exit"]["why"] == "stopped"
    assert end["exit"]["text"] == "alice asked"
    assert end["exit"]["signal"] == signal.SIGKILL
    assert not alive(pid)


def test_a_stop_lets_the_workload_end_by_itself(agent: Agent) -> None:
    agent.start("a1", "trap 'echo saving; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    until(lambda: agent.log("a1")[0])
    agent.ask("stop", attempt="a1", grace_s=30, why="")
    end = agent.end_of("a1")
    assert (end["exit"]["code"], end["exit"]["why"]) == (7, "stopped")
    assert agent.log("a1")[0] == b"up\nsaving\n"


def test_children_may_use_the_grace_that_the_main_process_did_not_need(agent: Agent) -> None:
    script = "trap 'sleep 0.8; echo saved; exit 0' TERM; while :; do sleep 0.05; done"
    agent.start("a1", f'sh -c "{script}" & echo up; wait')
    until(lambda: agent.log("a1")[0])
    time.sleep(0.2)
    agent.ask("stop", attempt="a1", grace_s=30, why="")
    agent.end_of("a1")
    assert agent.log("a1")[0] == b"up\nsaved\n"


def test_a_second_stop_can_hasten_the_first(agent: Agent, tmp_path: Path) -> None:
    agent.start("a1", f"trap '' TERM; echo $$ > {tmp_path}/deaf; while :; do sleep 0.05; done")
    pid_in(tmp_path / "deaf")
    agent.ask("stop", attempt="a1", grace_s=3600, why="gently")
    agent.ask("stop", attempt="a1", grace_s=0, why="now")
    end = agent.end_of("a1")
    assert end["exit"]["text"] == "gently"


def test_a_stopped_process_is_ended_as_well(agent: Agent) -> None:
    pid = agent.start("a1", ["/bin/sleep", "100"])["record"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    agent.ask("stop", attempt="a1", grace_s=3600, why="")
    assert agent.end_of("a1")["exit"]["signal"] == signal.SIGTERM


def test_a_stop_during_the_start_is_not_lost(agent: Agent) -> None:
    fields = agent.start_fields("a1", ["/bin/sleep", "100"])
    agent.send({"t": "start", "id": "s", **fields})
    assert agent.ask("stop", attempt="a1", grace_s=0, why="")["t"] == "ok"
    assert agent.end_of("a1")["exit"]["why"] == "stopped"


def test_stopping_what_is_over_or_unknown(agent: Agent) -> None:
    agent.start("a1", ["/bin/true"])
    agent.end_of("a1")
    assert agent.ask("stop", attempt="a1", grace_s=1, why="")["t"] == "ok"
    assert agent.ask("stop", attempt="nope", grace_s=1, why="")["code"] == "unknown_attempt"


def test_the_time_limit(agent: Agent) -> None:
    agent.start("a1", ["/bin/sleep", "100"], time_limit_s=0.3, grace_s=5)
    end = agent.end_of("a1")
    assert end["exit"]["why"] == "time_limit"
    assert end["exit"]["signal"] == signal.SIGTERM
    assert 0.3 <= end["exit"]["ran_s"] < 5


def test_the_soft_memory_limit_counts_the_whole_tree(agent: Agent) -> None:
    """NODE.md, the agent: memory sampled as PSS over the tree and labelled `soft`."""
    hog = 'python3 -c "x = bytearray(60 << 20); import time; time.sleep(100)"'
    answer = agent.start("a1", f"{hog} & {hog} & wait", memory_bytes=100 << 20)
    assert answer["record"]["limit"] == "soft"
    end = agent.end_of("a1")
    assert end["exit"]["why"] == "memory"
    assert "100.0 MiB" in end["exit"]["text"]


def test_memory_that_is_shared_counts_once(agent: Agent) -> None:
    script = (
        "import os, time; x = bytearray(60 << 20)\n"
        "[os.fork() or (time.sleep(2.5), os._exit(0)) for _ in range(4)]\n"
        "[os.wait() for _ in range(4)]"
    )
    agent.start("a1", ["python3", "-c", script], memory_bytes=150 << 20)
    assert agent.end_of("a1")["exit"]["code"] == 0


# giving up, acknowledging


def test_an_abandoned_start_never_runs(agent: Agent, tmp_path: Path) -> None:
    """NODE.md, starting: the same directory is made with a tombstone; who is first wins."""
    assert agent.ask("abandon", attempt="a1")["record"]["state"] == "never"
    assert agent.start("a1", f"touch {tmp_path}/ran")["code"] == "tombstone"
    assert agent.ask("abandon", attempt="a1")["record"]["state"] == "never"
    assert not (tmp_path / "ran").exists()


def test_abandoning_what_runs_tells_that_it_runs(agent: Agent) -> None:
    agent.start("a1", "sleep 0.3; exit 2")
    assert agent.ask("abandon", attempt="a1")["record"]["state"] == "running"
    assert agent.end_of("a1")["exit"]["code"] == 2


def test_abandon_and_start_at_once_have_one_winner(agent: Agent, tmp_path: Path) -> None:
    for number in range(20):
        name = f"a{number}"
        fields = agent.start_fields(name, f"touch {tmp_path}/{name}")
        agent.send({"t": "start", "id": f"s{number}", **fields})
        given_up = agent.ask("abandon", attempt=name)["record"]["state"] == "never"
        started = agent.wait(lambda m, n=number: m.get("id") == f"s{n}")["t"] == "ok"  # type: ignore[misc]
        assert given_up != started
        if started:
            agent.end_of(name)
        assert started == (tmp_path / name).exists()


def test_an_acknowledged_attempt_leaves_only_its_log(agent: Agent, state_dir: Path) -> None:
    """NODE.md, ending: the exit is kept until the core acknowledged it; the log stays longer."""
    agent.start("a1", "echo kept")
    agent.end_of("a1")
    agent.send({"t": "ack", "attempts": ["a1", "never-heard-of", "../x"]})
    agent.ask("ping")
    assert not list(state_dir.glob("root/*/core1-*/a1"))
    assert list(state_dir.glob("root/*/core1-*/done/a1/exit.json"))
    assert agent.log("a1")[0] == b"kept\n"


def test_a_running_attempt_cannot_be_acknowledged_away(agent: Agent) -> None:
    agent.start("a1", "sleep 0.2; exit 6")
    agent.send({"t": "ack", "attempts": ["a1"]})
    assert agent.end_of("a1")["exit"]["code"] == 6


# logs while they grow


def test_a_followed_log_is_live_and_ends_with_the_attempt(agent: Agent) -> None:
    agent.start("a1", "echo one; sleep 0.3; echo two")
    request = {"sub": "s", "attempt": "a1", "streams": ["out", "err"], "from": None}
    answer = agent.ask("tail", **request, last_lines=10, follow=True, credit=1000)
    assert set(answer) >= {"out", "err"}
    agent.wait(lambda m: m["t"] == "log" and "two" in m["text"])
    agent.wait(lambda m: m["t"] == "eof" and m["sub"] == "s")


def test_a_log_without_credit_waits_for_it(agent: Agent) -> None:
    agent.start("a1", "printf 0123456789")
    agent.end_of("a1")
    request = {"sub": "s", "attempt": "a1", "streams": ["out"], "from": {"out": 0}}
    agent.ask("tail", **request, last_lines=None, follow=False, credit=4)
    assert agent.wait(lambda m: m["t"] == "log")["text"] == "0123"
    agent.ask("ping")
    assert not [m for m in agent.seen if m["t"] == "eof"]
    agent.send({"t": "credit", "sub": "s", "bytes": 100})
    agent.wait(lambda m: m["t"] == "eof")
    assert [m["text"] for m in agent.seen if m["t"] == "log"] == ["0123", "456789"]


def test_no_log_of_an_unknown_attempt(agent: Agent) -> None:
    assert agent.ask("tail", sub="s", attempt="nope", streams=["out"])["code"] == "unknown_attempt"


def test_a_flood_leaves_memory_bounded_and_exits_quick(agent: Agent) -> None:
    """A workload that prints as fast as it can: bounded memory, and control overtakes logs."""
    flood = (
        "import os; b = os.urandom(1 << 20) + b'x' * (10 << 20)\nfor _ in range(30): os.write(1, b)"
    )
    pid = agent.start("flood", ["python3", "-c", flood], log_bytes=8 << 20)["record"]["pid"]
    supervisor = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    request = {"sub": "s", "attempt": "flood", "streams": ["out"], "from": {"out": 0}}
    agent.ask("tail", **request, last_lines=None, follow=True, credit=1 << 30)
    peak = 0
    for number in range(20):
        agent.start(f"short{number}", ["/bin/true"])
        agent.end_of(f"short{number}")
        for process in (agent.process.pid, supervisor):
            peak = max(peak, resident_kib(process))
    end = agent.end_of("flood")
    assert end["log"]["out"] == 30 * (11 << 20)
    assert peak < 24 << 10
    agent.wait(lambda m: m["t"] == "eof")
    position = 0
    for message in agent.seen:
        if message["t"] == "gap":
            assert message["from"] == position
            position = message["to"]
        elif message["t"] == "log":
            assert message["at"] == position
            position += len(_bytes(message))
    assert position == end["log"]["out"]


def _bytes(message: dict[str, Any]) -> bytes:
    from tests.bench.agent import log_bytes

    return log_bytes(message)


def resident_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0
    )


def test_the_last_lines_stay_with_a_failure_whatever_they_are(agent: Agent) -> None:
    """The exit record owns one block of the disk: no output may be too much for it."""
    agent.start("text", "echo starting; echo 'no such GPU' >&2; exit 1")
    assert agent.end_of("text")["exit"]["last"] == "no such GPU"
    agent.start("binary", "head -c 5000 /dev/zero; head -c 5000 /dev/urandom >&2; exit 1")
    end = agent.end_of("binary")
    assert (end["state"], end["exit"]["code"]) == ("ended", 1)
    assert end["log"] == {"out": 5000, "err": 5000}
