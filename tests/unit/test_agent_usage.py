"""Processor time and memory of attempts, measured on real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flextui.agent import usage
from flextui.agent.usage import Usage

MIB = 1 << 20
DEADLINE_S = 30.0


@contextmanager
def supervised(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that stands in for a supervisor, with a child that runs this Python."""
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", outer, code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.communicate()


@pytest.fixture(autouse=True)
def _any_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SHORTEST_S", 0.0)
    monkeypatch.setattr(usage, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(usage, "LOOK_SHARE", 1e9)
    monkeypatch.setattr(usage, "NEW_SHARE", 1e9)


def until(condition: Callable[[], bool]) -> None:
    poll = select.poll()
    for _ in range(int(DEADLINE_S * 50)):
        if condition():
            return
        poll.poll(20)
    raise AssertionError("it didn't come to pass within the deadline")


def busy_ticks(pid: int) -> int:
    fields = usage.stat(pid)
    return int(fields[11]) + int(fields[12])


def test_an_attempt_has_the_memory_and_time_of_its_tree() -> None:
    code = f"x = bytearray({64 * MIB}); print('ready', flush=True)\nwhile True: pass"
    with supervised(code) as process:
        measured = Usage()
        first = measured.measure({"a": process.pid})["a"]
        assert first["cpu"] is None
        (child,) = child_pids(process.pid)
        before = busy_ticks(child)
        until(lambda: busy_ticks(child) >= before + 20)
        second = measured.measure({"a": process.pid})["a"]
        os.kill(child, 9)

    assert second["cpu"] is not None
    assert 0 < second["cpu"] < 1.5
    assert second["memory_bytes"] is not None
    assert 64 * MIB < second["memory_bytes"] < 128 * MIB


def test_children_that_ended_count_as_well() -> None:
    code = (
        "import subprocess, sys; print('ready', flush=True); sys.stdin.readline()\n"
        "subprocess.run([sys.executable, '-c', 'for _ in range(9_000_000): pass'])\n"
        "print('done', flush=True); sys.stdin.readline()"
    )
    with supervised(code) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        measured = Usage()
        measured.measure({"a": process.pid})
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        found = measured.measure({"a": process.pid})["a"]

    assert found["cpu"] is not None
    assert found["cpu"] > 0.05


def test_what_was_used_before_the_first_look_is_no_peak() -> None:
    code = "for _ in range(9_000_000): pass\nprint('ready', flush=True); input()"
    with supervised(code) as process:
        measured = Usage()
        measured.measure({"other": os.getpid(), "a": process.pid})
        found = measured.measure({"other": os.getpid(), "a": process.pid})["a"]

    assert found["cpu"] is not None
    assert found["cpu"] < 1.5


def test_an_attempt_that_is_gone_is_forgotten() -> None:
    measured = Usage()
    measured.measure({"a": os.getpid()})

    assert measured.measure({}) == {}
    gone = measured.measure({"b": 999_999_999})["b"]
    assert gone["memory_bytes"] == 0


def test_two_measurements_at_once_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SHORTEST_S", 1e9)
    measured = Usage()
    first = measured.measure({"a": os.getpid()})

    assert measured.measure({"a": os.getpid()}) is first
    assert set(measured.measure({"a": os.getpid(), "b": os.getpid()})) == {"a", "b"}


def child_pids(pid: int) -> list[int]:
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and (fields := usage.stat(int(name))) and int(fields[1]) == pid
    ]
