"""Searching logs on the node: the lines that Python's own matcher finds, with their positions."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flextui.agent import attempt, ere, logs, records, search, tail
from flextui.agent.logs import Logs
from flextui.agent.loop import Loop
from flextui.agent.searches import SLOW, Search, Spots

LINES = [
    "step 1 loss 2.31", "WARNING overflow in fp16", "step 2 loss nan", "ERROR: CUDA out of memory",
    "Zeile mit Übergröße", "x.y [a-b] ^c$ {2} \\d", "", "  tab\there", "Ünïcode 漢字 ok", "step 3",
]  # fmt: skip
PATTERNS = [
    "step", "nan|overflow", r"step \d+ loss [0-9.]+$", "^ERROR", r"\bCUDA\b", "[^a-z ]{3}", "ü",
    r"x\.y \[a-b\]", r"\s{2}", "st(ep|op)? [13]", "[]x^-]", "(?:a|b)c*", ".gr..e", r"\w+ mit", "",
    r"(\w)\1", "(?<!s)tep|loss(?= n)", "漢.", r"\{2\}", "o{2,3}|f{1,2}",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def found(folder: int, pattern: str, *, most: int = 1000, **more: Any) -> tuple[list[int], int]:
    """Positions in order, and the count."""
    told: list[dict[str, Any]] = []
    wish = search.Wish({"pattern": pattern, "most": most, **more})
    search.search(search.Stream(folder, "out"), wish, told.append)
    assert told[-1]["whole"]
    return sorted(at for it in told for at, _ in it["hits"]), told[-1]["count"]


def fill(folder: int, lines: list[str], bound: int = 1 << 24) -> list[int]:
    """Write lines; where each begins."""
    target = Logs(folder, bound)
    at, begins = 0, []
    for line in lines:
        data = line.encode() + b"\n"
        target.write("out", memoryview(data))
        begins.append(at)
        at += len(data)
    return begins


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("flags", [{}, {"ignore_case": True}, {"inverse": True}], ids=str)
def test_it_finds_what_python_finds(folder: int, pattern: str, flags: dict[str, bool]) -> None:
    begins = fill(folder, LINES)
    regex = re.compile(pattern, re.IGNORECASE if "ignore_case" in flags else 0)
    wanted = [
        at for at, line in zip(begins, LINES, strict=True)
        if (regex.search(line) is not None) != ("inverse" in flags)
    ]  # fmt: skip
    assert found(folder, pattern, **flags) == (wanted, len(wanted))


def test_what_grep_can_say_it_is_told() -> None:
    told = {it: ere.translated(it) for it in PATTERNS}
    assert told[r"(\w)\1"] is None
    assert told["(?<!s)tep|loss(?= n)"] is None
    assert [it for it, said in told.items() if said is None] == [
        r"(\w)\1", "(?<!s)tep|loss(?= n)",
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.text("ab[]^-.*+?(){}|\\$x é1", max_size=8), st.lists(st.text("ab[]^-x é1.", max_size=6)))
def test_a_translation_means_the_same(pattern: str, lines: list[str]) -> None:
    try:
        said = ere.translated(pattern)
    except (re.error, OverflowError):
        return
    if said is None:
        return
    again = re.compile(said.replace("[:alnum:]_", r"\w").replace("[:space:]", r"\s"))
    for line in lines:
        assert (re.search(pattern, line) is None) == (again.search(line) is None), (pattern, said)


def test_only_the_newest_are_told_and_all_are_counted(folder: int) -> None:
    begins = fill(folder, [f"step {n}" for n in range(20_000)], 1 << 20)
    assert len(logs.segments(folder, "out")) > 2
    hits, count = found(folder, "step", most=7)
    assert count == 20_000
    assert len(hits) == 7
    assert set(hits) <= set(begins)
    assert min(hits) >= logs.segments(folder, "out")[-1]


def test_a_line_that_goes_over_a_border_is_found(folder: int) -> None:
    target = Logs(folder, logs.LEAST_BOUND)
    size = logs.LEAST_BOUND // 16
    target.write("out", memoryview(b"x" * (size - 3) + b"needle\n"))
    assert len(logs.segments(folder, "out")) == 2
    assert found(folder, "needle") == ([0], 1)


class Wakeable:
    """A search in its child, driven until it is over."""

    def __init__(self, core: Path, **request: Any) -> None:
        self.loop = Loop()
        fd = os.open(core, os.O_RDONLY)
        asked = {"sub": 1, "credit": 1 << 20, "most": 100, **request}
        self.search = Search(fd, asked, self.loop, self._more)
        os.close(fd)
        self.messages: list[dict[str, Any]] = []
        self.loop.after(0.0, self._more)
        self.loop.run()
        self.search.close()

    def _more(self) -> None:
        while message := self.search.next():
            self.messages.append(message)
        if self.search.over:
            self.loop.stop()


def test_a_search_runs_in_a_child_over_all_attempts(tmp_path: Path) -> None:
    for name, text in (("j1.0.1", "bad\ngood\n"), ("j1.1.1", "good\nbad\nbad")):
        (tmp_path / name).mkdir()
        fd = os.open(tmp_path / name, os.O_RDONLY)
        Logs(fd, 1 << 20).write("err", memoryview(text.encode()))
        os.close(fd)
    told = Wakeable(tmp_path, attempts=["j1.0.1", "j1.1.1", "gone"], pattern="bad").messages
    assert told[-1]["t"] == "eof"
    by = {(it["attempt"], it["stream"]): it for it in told[:-1]}
    assert [at for at, _ in by["j1.0.1", "err"]["hits"]] == [0]
    assert sorted(at for at, _ in by["j1.1.1", "err"]["hits"]) == [5, 9]
    assert by["j1.1.1", "out"]["count"] == 0


def test_a_pattern_that_would_take_for_ever_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LONGEST_S", 0.1)
    (tmp_path / "j1.0.1").mkdir()
    fd = os.open(tmp_path / "j1.0.1", os.O_RDONLY)
    Logs(fd, 1 << 20).write("out", memoryview(b"a" * 60 + b"\n"))
    os.close(fd)
    told = Wakeable(tmp_path, attempts=["j1.0.1"], pattern=r"((a+)+)+\2$b").messages
    assert [it.get("text") for it in told if it["t"] == "notice"] == [SLOW]
    assert told[-1]["t"] == "eof"


AGENT = """
import os, sys
from flextui.agent.loop import Loop
from flextui.agent.searches import Search
fd = os.open(sys.argv[1], os.O_RDONLY)
search = Search(fd, {"sub": 1, "attempts": ["j1.0.1"], "pattern": "x"}, Loop(), lambda: None)
print(search._pid, flush=True)
sys.stdin.read()
"""


def test_a_search_ends_with_an_agent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "j1.0.1").mkdir()
    os.mkfifo(tmp_path / "j1.0.1" / "out.marks")  # reading it never comes to an end
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert agent.stdin is not None
    assert agent.stdout is not None
    with agent.stdin, agent.stdout:
        child = os.pidfd_open(int(agent.stdout.readline()))
        try:
            assert not select.select([child], [], [], 0.1)[0], "it searches"
            agent.kill()
            agent.wait()
            assert select.select([child], [], [], 20.0)[0], "it has ended"
        finally:
            os.close(child)


def test_what_is_no_pattern_is_said(tmp_path: Path) -> None:
    told = Wakeable(tmp_path, attempts=[], pattern="(").messages
    assert "no regular expression" in told[0]["text"]


def test_a_search_that_fails_is_not_one_that_finds_nothing(tmp_path: Path) -> None:
    told = Wakeable(tmp_path, attempts=[], pattern="a{99999999999999999999}").messages
    assert [it["t"] for it in told] == ["notice", "eof"]
    assert "can't be searched for" in told[0]["text"]


def test_spots_come_with_the_lines_around_them_each_line_once(folder: int) -> None:
    begins = fill(folder, [f"line {n}" for n in range(100)])
    spots = Spots(os.dup(folder), {"sub": 1, "stream": "out", "context": 2, "credit": 1 << 20,
                                   "spots": [begins[50], begins[10], begins[12]]})  # fmt: skip
    told = list(iter(spots.next, None))
    spots.close()
    lines = [line for it in told if it["t"] == "log" for line in it["text"].splitlines()]
    assert lines == [f"line {n}" for n in (*range(8, 15), *range(48, 53))]
    assert told[-1]["t"] == "eof"


def test_around_a_time_come_the_lines_before_and_after(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr(logs.time, "time", lambda: clock)
    target = Logs(folder, 1 << 20)
    for n in range(20):
        target.write("out", memoryview(b"a line of some length, number %02d\n" % n))
        clock += 1.0
    asked = {"sub": 1, "stream": "out", "context": 2, "credit": 1 << 20, "times": [1_010_500.0]}
    spots = Spots(os.dup(folder), asked)
    text = "".join(it.get("text", "") for it in iter(spots.next, None))
    spots.close()
    assert [int(line[-2:]) for line in text.splitlines()] == [9, 10, 11, 12]


def test_a_part_of_an_ended_log_tells_no_gap_after_it(folder: int) -> None:
    begins = fill(folder, [f"line {n}" for n in range(10)])
    total = logs.sizes(folder)
    ending = attempt.new_ending("exit", "", total, 1.0, 0)
    records.write(folder, "exit.json", ending)
    asked = {"sub": 1, "credit": 1 << 20, "streams": ["out"], "until": {"out": begins[5]}}
    part = tail.Tail(os.dup(folder), {**asked, "last_lines": 2})
    told = list(iter(part.next, None))
    part.close()
    assert [it["t"] for it in told] == ["log", "eof"]
    assert told[-1]["told"] == {"out": [begins[3], begins[5]]}


def test_parts_of_a_log(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(logs.time, "time", lambda: clock)
    target = Logs(folder, 1 << 20)
    begins = []
    at = 0
    for n in range(100):
        data = b"%04d a line of some length, as they are\n" % n
        target.write("out", memoryview(data))
        begins.append(at)
        at += len(data)
        clock += 1.0

    def part(**asked: Any) -> tuple[int, int | None]:
        return tail.part(folder, "out", asked)

    assert part(last_lines=3) == (begins[97], None)
    assert part(last_lines=3, until={"out": begins[50]}) == (begins[47], begins[50])
    assert part(since_at=1_090_000.0) == (begins[90], None)
    assert part(since_at=1_090_000.0, last_lines=50) == (begins[50], None)
    assert part(since_at=1_090_000.0, last_lines=5) == (begins[90], None)
    assert part(since_at=9e12) == (at, None)
    assert part(**{"from": {"out": begins[5]}, "limit": 100}) == (begins[5], begins[5] + 100)
    assert part(last_lines=50, limit=100) == (at - 100, None)
