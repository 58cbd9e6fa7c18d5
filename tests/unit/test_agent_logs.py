"""Logs on disk and their way back: positions, bounds, holes, character boundaries."""

from __future__ import annotations

import base64
import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.agent import attempt, logs, tail
from flextui.agent.logs import Logs


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def write(target: Logs, data: bytes, stream: str = "out") -> None:
    target.write(stream, memoryview(data))


def follow(folder: int, **request: Any) -> tail.Tail:
    return tail.Tail(os.dup(folder), {"sub": 1, "credit": 1 << 30, "streams": ["out"], **request})


def drain(subscription: tail.Tail) -> list[dict[str, Any]]:
    return list(iter(subscription.next, None))


def text_of(messages: list[dict[str, Any]]) -> bytes:
    parts = []
    for message in messages:
        if message["t"] == "log":
            coded = message.get("b64")
            parts.append(base64.b64decode(coded) if coded else message["text"].encode())
    return b"".join(parts)


def test_what_is_written_can_be_read_back_from_any_position(folder: int) -> None:
    """NODE.md, ending: a log position is the byte offset since the stream's start."""
    target = Logs(folder, 1 << 20)
    data = b"".join(b"line %d\n" % number for number in range(30000))
    for at in range(0, len(data), 7777):
        write(target, data[at : at + 7777])
    assert len(logs.segments(folder, "out")) > 3
    for position in (0, 1, 65535, 65536, 65537, len(data) - 1, len(data)):
        messages = drain(follow(folder, **{"from": {"out": position}}))
        assert text_of(messages) == data[position:]
        assert messages[-1]["t"] == "eof"
        assert messages[-1]["told"] == {"out": [position, len(data)]}


def test_rotation_keeps_the_bound_and_what_it_dropped_is_a_gap(folder: int) -> None:
    """NODE.md, ending: segments named by first offset; what rotation dropped is a gap record."""
    bound = logs.LEAST_BOUND
    target = Logs(folder, bound)
    data = os.urandom(bound * 5)
    for at in range(0, len(data), 10000):
        write(target, data[at : at + 10000])
        kept = sum(
            os.stat(name, dir_fd=folder).st_size for name in os.listdir(folder) if ".m" not in name
        )
        assert kept <= bound
    first, end = logs.extent(folder, "out")
    assert end == len(data)
    assert first > 0
    messages = drain(follow(folder, **{"from": {"out": 100}}))
    assert messages[0] == {"t": "gap", "sub": 1, "stream": "out", "from": 100, "to": first}
    assert text_of(messages) == data[first:]


def test_a_quiet_stream_is_not_dropped_for_a_loud_one(folder: int) -> None:
    target = Logs(folder, logs.LEAST_BOUND)
    write(target, b"Traceback: the one line that matters\n", "err")
    for _ in range(100):
        write(target, b"x" * 10000)
    assert logs.extent(folder, "err")[0] == 0


def test_a_full_disk_costs_bytes_and_never_raises(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log write that fails is a hole, told as a gap; later bytes are kept again."""
    target = Logs(folder, 1 << 20)
    write(target, b"before\n")
    real = os.write

    def full(fd: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    write(target, b"lost\n")
    monkeypatch.setattr(os, "write", real)
    monkeypatch.setattr(logs, "_RETRY_S", 0.0)
    write(target, b"after\n")
    assert target.ends() == {"out": 18, "err": 0}
    messages = drain(follow(folder, **{"from": {"out": 0}}))
    assert [m["t"] for m in messages] == ["log", "gap", "log", "eof"]
    assert (messages[1]["from"], messages[1]["to"]) == (7, 12)
    assert text_of(messages) == b"before\nafter\n"


def test_a_hole_at_the_very_end_is_told_once_the_attempt_ended(folder: int) -> None:
    write(Logs(folder, 1 << 20), b"abc")
    ending = attempt.new_ending("exit", "", {"out": 10, "err": 0}, 1.0, 0)
    (Path(f"/proc/self/fd/{folder}") / "exit.json").write_text(__import__("json").dumps(ending))
    messages = drain(follow(folder, **{"from": {"out": 0}}))
    assert [m["t"] for m in messages] == ["log", "gap", "eof"]
    assert messages[1]["to"] == 10


def test_a_reader_in_the_middle_survives_rotation(folder: int) -> None:
    target = Logs(folder, logs.LEAST_BOUND)
    write(target, b"a" * 1000)
    reader = follow(folder, **{"from": {"out": 0}, "follow": True, "credit": 1 << 30})
    assert text_of(drain(reader)) == b"a" * 1000
    for _ in range(40):
        write(target, b"b" * 4096)
    got = drain(reader)
    positions = [(m["at"], m["at"] + len(text_of([m]))) for m in got if m["t"] == "log"]
    holes = [(m["from"], m["to"]) for m in got if m["t"] == "gap"]
    covered = sorted(positions + holes)
    assert covered[0][0] == 1000
    assert covered[-1][1] == 1000 + 40 * 4096
    assert all(left[1] == right[0] for left, right in itertools.pairwise(covered))


def test_only_what_credit_was_given_for_is_sent(folder: int) -> None:
    """NODE.md, the agent: credit-based flow control."""
    write(Logs(folder, 1 << 20), b"x" * 100000)
    reader = follow(folder, **{"from": {"out": 0}, "credit": 1000})
    assert len(text_of(drain(reader))) == 1000
    reader.credit += 50
    assert len(text_of(drain(reader))) == 50


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 50))
def test_any_bytes_arrive_unchanged_whatever_the_credit(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], credit: int
) -> None:
    """Text is cut at characters, the rest is base64: the bytes are the same in any case."""
    fd = os.open(tmp_path_factory.mktemp("log"), os.O_RDONLY)
    target = Logs(fd, 1 << 20)
    data = b"".join(parts)
    for part in parts:
        write(target, part)
    reader = follow(fd, **{"from": {"out": 0}, "credit": 0})
    got: list[dict[str, Any]] = []
    while not reader.over:
        reader.credit = credit
        got += drain(reader)
    assert text_of(got) == data
    os.close(fd)


def test_a_character_cut_by_a_chunk_stays_whole(folder: int) -> None:
    data = ("x" + "é" * tail.CHUNK).encode()
    write(Logs(folder, 1 << 22), data)
    messages = drain(follow(folder, **{"from": {"out": 0}}))
    assert all("text" in m for m in messages if m["t"] == "log")
    assert text_of(messages) == data


def test_binary_output_and_lines_of_ten_megabytes_are_only_bytes(folder: int) -> None:
    target = Logs(folder, 64 << 20)
    data = b"\x00\xff" * (5 << 20) + b"\n" + b"y" * (10 << 20)
    for at in range(0, len(data), 32768):
        write(target, data[at : at + 32768])
    messages = drain(follow(folder, **{"from": {"out": 0}}))
    assert text_of(messages) == data
    assert max(len(m.get("b64", m.get("text", ""))) for m in messages) < 64 << 10


@pytest.mark.parametrize(
    ("data", "lines", "rest"),
    [
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\nb\n", 0, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (b"", 5, b""),
    ],
)
def test_the_last_lines(folder: int, data: bytes, lines: int, rest: bytes) -> None:
    write(Logs(folder, 1 << 20), data)
    assert text_of(drain(follow(folder, last_lines=lines))) == rest


def test_the_last_lines_over_segments(folder: int) -> None:
    target = Logs(folder, 1 << 20)
    data = b"".join(b"%06d\n" % number for number in range(60000))
    for at in range(0, len(data), 30000):
        write(target, data[at : at + 30000])
    assert text_of(drain(follow(folder, last_lines=20000))) == data[-140000:]


def test_looking_for_lines_in_a_file_without_any_ends_soon(folder: int) -> None:
    target = Logs(folder, 64 << 20)
    for _ in range(400):
        write(target, b"z" * 32768)
    end = 400 * 32768
    assert tail.last_lines(folder, "out", 10) == end - (8 << 20)


def test_marks_tell_when_a_byte_came(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(logs.time, "time", lambda: clock)
    target = Logs(folder, 1 << 20)
    for _ in range(5):
        write(target, b"x" * 5000)
        clock += 2.0
    assert tail.marks(folder, "out", 0, 25000) == [
        (0, 1000000), (5000, 1002000), (10000, 1004000), (15000, 1006000), (20000, 1008000),
    ]  # fmt: skip
    assert tail.marks(folder, "out", 12000, 10) == [(10000, 1004000)]


def test_small_lines_that_a_person_can_tell_apart_have_their_own_time(
    folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr(logs.time, "time", lambda: clock)
    target = Logs(folder, 1 << 20)
    for number in range(4):
        write(target, b"%d\n" % number)
        clock += 0.25
    times = [1000000, 1000250, 1000500, 1000750]
    assert tail.marks(folder, "out", 0, 8) == [(2 * n, at) for n, at in enumerate(times)]


def test_marks_cost_less_than_what_they_mark(folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(logs.time, "time", lambda: clock)
    target = Logs(folder, 1 << 20)
    for _ in range(36000):
        write(target, b"0123456789")
        clock += 0.1
    size = os.stat("out.marks", dir_fd=folder).st_size
    assert size <= 360_000 * logs.MARK_SIZE / 24


def test_the_log_of_an_attempt_that_never_ran_ends(folder: int) -> None:
    waiting = follow(folder, follow=True)
    assert drain(waiting) == []
    attempt.bury(folder, "no_workdir", "workdir /nope: No such file or directory")
    assert [message["t"] for message in drain(waiting)] == ["eof"]


def test_tails_take_turns(folder: int, tmp_path: Path) -> None:
    """A log that floods leaves other logs live."""
    write(Logs(folder, 1 << 24), b"x" * (1 << 20))
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    fd = os.open(quiet, os.O_RDONLY)
    write(Logs(fd, 1 << 20), b"hello\n")
    waits: list[float] = []
    tails = tail.Tails(waits.append)
    request = {"credit": 1 << 30, "streams": ["out"], "from": {"out": 0}, "follow": True}
    tails.add(tail.Tail(os.dup(folder), {"sub": "loud", **request}))
    tails.add(tail.Tail(fd, {"sub": "quiet", **request}))
    first_two = [tails.next(), tails.next()]
    assert {m["sub"] for m in first_two if m} == {"loud", "quiet"}


def test_an_idle_tail_is_looked_at_less_and_less_often(folder: int) -> None:
    waits: list[float] = []
    tails = tail.Tails(waits.append)
    tails.add(follow(folder, **{"from": {"out": 0}, "follow": True}))
    for _ in range(8):
        assert tails.next() is None
        tails.wake()
    assert waits[0] == tails.QUICK_S
    assert waits[-1] == tails.SLOW_S
    assert waits == sorted(waits)
