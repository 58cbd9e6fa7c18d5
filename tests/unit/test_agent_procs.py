"""Processes as they really are: identity, trees, marks, memory; and a limit by the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flextui.agent import memory, procs


def until(truth: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = truth()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came true")


def test_a_process_is_its_pid_and_its_start() -> None:
    """NODE.md, identity: (boot, pid, start ticks), never a bare pid."""
    with subprocess.Popen(["/bin/sleep", "100"]) as process:
        born = procs.ticks(process.pid)
        assert born is not None
        assert procs.alive(process.pid, born)
        assert not procs.alive(process.pid, born - 1)
        process.kill()
        until(lambda: not procs.alive(process.pid, born))  # a zombie does not live
    assert procs.ticks(process.pid) is None


def test_a_name_with_brackets_and_spaces_confuses_nothing(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "100"]) as process:
        until(lambda: b"a) R" in Path(f"/proc/{process.pid}/comm").read_bytes())
        seen = procs.stat(process.pid)
        assert seen is not None
        assert seen.parent == os.getpid()
        process.kill()


def below(process: subprocess.Popen[bytes], count: int) -> list[int]:
    """The descendants of a process, once there are so many."""
    until(lambda: len(procs.descendants(process.pid)) == count)
    return procs.descendants(process.pid)


@pytest.mark.parametrize("children_files", [True, False])
def test_descendants_with_and_without_the_kernels_list(
    monkeypatch: pytest.MonkeyPatch, children_files: bool
) -> None:
    monkeypatch.setattr(procs, "_has_children_files", children_files)
    script = "sleep 100 & (sleep 100 & sleep 100; true) & wait"
    with subprocess.Popen(["/bin/sh", "-c", script]) as process:
        procs.send([process.pid, *below(process, 4)], signal.SIGKILL)


def test_children_of_every_thread_are_seen() -> None:
    code = (
        "import subprocess, threading, time\n"
        "run = lambda: subprocess.run(['/bin/sleep', '100'])\n"
        "[threading.Thread(target=run).start() for _ in range(3)]"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        procs.send([process.pid, *below(process, 3)], signal.SIGKILL)


def test_marked_processes_are_found_by_their_environment() -> None:
    """NODE.md, ending: every process that carries the attempt's mark."""
    name = f"mark-{os.getpid()}"
    environment = {**os.environ, procs.MARK: name, procs.CORE: "core1"}
    with subprocess.Popen(["/bin/sh", "-c", "sleep 100 & wait"], env=environment) as process:
        mine, longer, namesake = ("core1", name), ("core1", name[:-1]), ("core2", name)
        until(lambda: len(procs.marked([mine])[mine]) == 2)
        found = procs.marked([mine, longer, namesake])
        assert found[longer] == [], "a longer name is another"
        assert found[namesake] == [], "ids are unique in a fleet only"
        procs.send(found[mine], signal.SIGKILL)
        until(lambda: procs.marked([mine])[mine] == [])
        assert process.wait() == -signal.SIGKILL


def test_shared_memory_counts_once() -> None:
    code = (
        "import os, time\nx = bytearray(50 << 20)\n"
        "[os.fork() for _ in range(2)]\nprint('up', flush=True)\ntime.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        tree = [process.pid, *procs.descendants(process.pid)]
        assert len(tree) == 4
        assert procs.resident(tree) > 200 << 20
        assert 50 << 20 < procs.pss(tree) < 120 << 20
        procs.send(tree, signal.SIGKILL)


# limits


def test_without_a_limit_nothing_is_watched() -> None:
    watch = memory.watch({"memory_bytes": None}, os.getpid())
    assert watch.due is None
    assert memory.command({"argv": ["a"], "limit": None}) == ["a"]


def test_a_scope_limits_the_workload_and_leaves_the_supervisor_outside() -> None:
    """NODE.md, the agent: systemd-run --user --scope; supervisors stay outside the cgroup."""
    request = {"argv": ["python", "x"], "limit": "scope", "memory_bytes": 1 << 30, "attempt": "a1"}
    command = memory.command(request)
    assert command[:3] == ["systemd-run", "--user", "--scope"]
    assert "MemoryMax=1073741824" in command
    assert command[command.index("--") + 1 :] == ["python", "x"]


def test_a_kill_by_the_kernel_at_the_limit_is_told_as_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
    watch = memory.watch({"memory_bytes": 1, "limit": "scope"}, os.getpid())
    assert isinstance(watch, memory.Scope)
    monkeypatch.setattr(memory, "_cgroup", lambda pid: "/user.slice/flextui-a1.scope")
    watch.check(time.monotonic() + 1)
    assert watch._events == "/sys/fs/cgroup/user.slice/flextui-a1.scope/memory.events"
    watch._events = str(events)
    killed, exited = signal.SIGKILL, 3 << 8
    assert watch.verdict(killed, "exit", "")[0] == "memory"
    assert watch.verdict(killed, "stopped", "") == ("stopped", "")
    assert watch.verdict(exited, "exit", "") == ("exit", "")
    events.write_text("oom_kill 0\n")
    assert watch.verdict(killed, "exit", "") == ("exit", "")
