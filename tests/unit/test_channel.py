"""Lines, requests, priorities and tails: bounded and unmoved by whatever an agent sends."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.core.adapters.channel import QUEUE_BOUND, Channel, MessageTooLong
from flextui.core.adapters.lines import LineSplitter
from flextui.core.adapters.stream import HIGH_WATER, ByteStream
from flextui.core.adapters.tail import MERGED, SLACK, WINDOW, Tail


class Peer:
    """The other end of a stream."""

    def __init__(self) -> None:
        self.stream = ByteStream()
        self.stream.attach(self)
        self.written = b""
        self.paused = False

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        self.stream.lost(None)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.splitlines()]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# ── lines ──────────────────────────────────────────────────────────────────────────────────────


@given(
    lines=st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b), max_size=30),
    cuts=st.lists(st.integers(0, 2000), max_size=30),
)
def test_lines_come_out_whole_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter(limit=20)
    found = []
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for begin, end in pairwise(places):
        found += splitter.feed(data[begin:end])
    assert found == [line for line in lines if len(line) <= 20]
    assert splitter.dropped == sum(len(line) > 20 for line in lines)
    assert splitter.rest() == b""


def test_an_endless_line_is_not_kept() -> None:
    splitter = LineSplitter(limit=1000)
    for _ in range(100):
        assert splitter.feed(b"x" * 900) == []
        assert len(splitter.rest()) <= 1000
    assert splitter.feed(b"tail\nnext\n") == [b"next"]


# ── garbage ────────────────────────────────────────────────────────────────────────────────────

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
messages = st.fixed_dictionaries(
    {"t": st.sampled_from(["ok", "error", "log", "gap", "eof", "sample", "attempt", "?", 7])},
    optional={
        "id": json_values,
        "sub": json_values,
        "stream": json_values,
        "at": json_values,
        "text": json_values,
        "b64": json_values,
        "marks": json_values,
        "record": json_values,
    },
)
garbage = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode() + b"\n"),
    messages.map(lambda value: json.dumps(value).encode() + b"\n"),
    st.just(b"[" * 100_000 + b"\n"),
    st.just(b"1" * 5000 + b"\n"),
)


@given(parts=st.lists(garbage, max_size=20))
def test_garbage_never_stops_a_channel(parts: list[bytes]) -> None:
    async def scenario() -> None:
        peer = Peer()
        pushes: list[dict[str, Any]] = []
        channel = Channel(peer.stream, pushes.append)
        tail = Tail("n", "j1.0.1", lambda size: None)
        channel.open_tail(tail)
        running = asyncio.create_task(channel.run())
        answer = channel.request({"t": "ping"})
        await settle()
        for part in parts:
            peer.stream.feed(part)
        await settle()
        peer.stream.feed(b"\n")
        peer.stream.feed(json.dumps({"t": "ok", "id": 2, "mine": True}).encode() + b"\n")
        peer.stream.feed_eof()
        await running
        assert answer.done()
        assert all(isinstance(push, dict) for push in pushes)

    asyncio.run(scenario())


async def test_an_agent_that_sends_only_nonsense_is_given_up() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    peer.stream.feed(b"no message\n" * 5000)
    await running
    assert channel.broken == "the agent sends nonsense"
    assert peer.stream.closed


# ── requests ───────────────────────────────────────────────────────────────────────────────────


async def test_answers_find_their_requests_in_any_order() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    futures = [channel.request({"t": "ping"}) for _ in range(3)]
    await settle()
    ids = [message["id"] for message in peer.messages]
    for number in reversed(ids):
        peer.stream.feed(json.dumps({"t": "ok", "id": number, "n": number}).encode() + b"\n")
    assert [(await future)["n"] for future in futures] == ids
    peer.stream.feed_eof()
    await running


async def test_pending_requests_fail_when_the_stream_ends() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    future = channel.request({"t": "ping"})
    peer.stream.feed_eof()
    await running
    with pytest.raises(ConnectionError):
        await future


async def test_a_request_on_a_closed_channel_fails_at_once() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    peer.stream.lost(None)
    with pytest.raises(ConnectionError):
        await channel.request({"t": "ping"})


async def test_too_long_a_message_is_refused_and_nothing_is_sent() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    with pytest.raises(MessageTooLong):
        channel.request({"t": "start", "env": {"X": "y" * (1 << 20)}})
    await settle()
    assert peer.written == b""


async def test_control_overtakes_log_traffic() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    peer.stream.pause_writing()
    channel.notify({"t": "credit", "sub": 1, "bytes": 1}, bulk=True)
    channel.notify({"t": "grant", "attempt": "j1.0.1", "seq": 1})
    peer.stream.resume_writing()
    await settle()
    assert [message["t"] for message in peer.messages] == ["grant", "credit"]


async def test_a_peer_that_never_reads_is_given_up_before_memory_grows() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    peer.stream.pause_writing()
    sent = 0
    while not channel.broken:
        channel.notify({"t": "ack", "attempts": ["x" * 10_000]})
        sent += 10_000
        assert sent < 2 * QUEUE_BOUND
    assert channel.broken == "the agent doesn't read what it is sent"


async def test_a_flood_pauses_the_transport() -> None:
    peer = Peer()
    Channel(peer.stream, lambda message: None)
    peer.stream.feed(b"x" * (HIGH_WATER + 1))
    assert peer.paused
    await peer.stream.read()
    assert not peer.paused


# ── tails ──────────────────────────────────────────────────────────────────────────────────────


def log_push(sub: int, at: int, text: str) -> bytes:
    message = {"t": "log", "sub": sub, "stream": "out", "at": at, "text": text}
    return json.dumps(message).encode() + b"\n"


async def test_credit_is_renewed_by_reading_only() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    renewed: list[int] = []
    tail = Tail("n", "j1.0.1", renewed.append)
    sub = channel.open_tail(tail)
    piece = WINDOW // 4
    for number in range(4):
        peer.stream.feed(log_push(sub, number * piece, "x" * piece))
    await settle()
    assert renewed == []
    for number in range(4):
        event = await tail.next()
        assert (event["at"], event["to"]) == (number * piece, (number + 1) * piece)
    assert sum(renewed) == 4 * piece
    peer.stream.feed_eof()
    await running


async def test_an_agent_that_ignores_its_credit_loses_the_tail_not_our_memory() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    tail = Tail("n", "j1.0.1", lambda size: None)
    sub = channel.open_tail(tail)
    for number in range(100):
        peer.stream.feed(log_push(sub, number * 60_000, "x" * 60_000))
        await settle()
    taken = 0

    async def read_all() -> None:
        nonlocal taken
        while True:
            taken += len((await tail.next())["text"])

    with pytest.raises(ConnectionError):
        await read_all()
    assert taken <= WINDOW + SLACK + 60_000
    peer.stream.feed_eof()
    await running


async def test_many_small_pieces_become_few() -> None:
    tail = Tail("n", "j1.0.1", lambda size: None)
    for number in range(100_000):
        tail.receive({"t": "log", "stream": "out", "at": number * 2, "text": "x\n", "marks": []})
    pieces = [await tail.next() for _ in range(7)]
    assert "".join(piece["text"] for piece in pieces) == "x\n" * 100_000
    assert pieces[-1]["to"] == 200_000
    assert max(len(piece["text"]) for piece in pieces) <= MERGED


async def test_a_tail_ends_with_the_link() -> None:
    peer = Peer()
    channel = Channel(peer.stream, lambda message: None)
    running = asyncio.create_task(channel.run())
    tail = Tail("n", "j1.0.1", lambda size: None)
    sub = channel.open_tail(tail)
    peer.stream.feed(log_push(sub, 0, "last words"))
    peer.stream.feed_eof()
    await running
    assert (await tail.next())["text"] == "last words"
    with pytest.raises(ConnectionError):
        await tail.next()
