"""The agent's channel: framing, and that control never waits behind logs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator

import pytest

from flextui.agent.wire import Lines, LineTooLong, Outbox, encode


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_are_cut_wherever_the_bytes_were_split() -> None:
    data = b'{"a":1}\n\n{"b":2}\n{"c":'
    for size in range(1, len(data)):
        lines = Lines()
        found = [
            line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])
        ]
        assert found == [b'{"a":1}', b'{"b":2}']


def test_a_line_beyond_the_bound_is_refused_and_not_kept() -> None:
    lines = Lines(limit=100)
    assert list(lines.feed(b"x" * 90 + b"\n")) == [b"x" * 90]
    with pytest.raises(LineTooLong):
        list(lines.feed(b"x" * 101))


def test_text_that_is_no_unicode_still_makes_a_line() -> None:
    assert json.loads(encode({"text": "a\udcffb"}))["text"] == "a?b"


def test_control_leaves_before_telemetry_before_logs(pipe: tuple[int, int]) -> None:
    """NODE.md, the agent: control before telemetry before logs."""
    reading, writing = pipe
    logs = [{"t": "log", "n": number} for number in range(3)]
    box = Outbox(writing, lambda: logs.pop(0) if logs else None)
    box.telemetry({"t": "sample"})
    box.push({"t": "attempt"})
    assert box.flush() is False
    kinds = [json.loads(line)["t"] for line in os.read(reading, 65536).splitlines()]
    assert kinds == ["attempt", "sample", "log", "log", "log"]


def test_an_exit_overtakes_logs_that_the_channel_did_not_take_yet(pipe: tuple[int, int]) -> None:
    """NODE.md, the agent: control before logs, also when the channel is full of logs."""
    reading, writing = pipe
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    asked = 0

    def flood() -> dict[str, object]:
        nonlocal asked
        asked += 1
        return {"t": "log", "text": "x" * 1000}

    box = Outbox(writing, flood)
    assert box.flush() is True
    assert asked <= 6, "log messages are made only when there is room for them"
    box.push({"t": "attempt"})
    seen: list[str] = []
    rest = b""
    while "attempt" not in seen:
        *lines, rest = (rest + os.read(reading, 65536)).split(b"\n")
        seen += [json.loads(line)["t"] for line in lines]
        box.flush()
    assert seen.index("attempt") <= 6


def test_a_sample_that_was_not_sent_is_replaced_by_the_next(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    box = Outbox(writing, lambda: None)
    for number in range(1000):
        box.telemetry({"t": "sample", "seq": number})
    box.flush()
    assert json.loads(os.read(reading, 65536))["seq"] == 999
