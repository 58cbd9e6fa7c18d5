"""Parts of logs: how long a node that says nothing is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from flextui.core import log_parts
from flextui.core.commands import CommandError, LogPiece, LogRequest
from flextui.core.log_parts import Reader
from flextui.core.model.docs import LogEvent
from flextui.core.ports import LogAsk, SearchRequest, TailRequest
from tests.unit.core_kit import bench
from tests.unit.fake_fleet import FakeNode, inventory

SEARCH = SearchRequest(("j1.0.1",), ("out",), "x", False, False, 10)


async def read(folder: Path, patched: pytest.MonkeyPatch, ask: LogAsk, node: FakeNode) -> list[str]:
    """The texts of what a reader tells where the node finds something after ten silences."""
    patched.setattr(log_parts, "SILENT_S", 0.05)
    async with bench(folder, inventory("n1"), node) as made:
        engine = made.running.engine

        async def tail(asked: LogAsk) -> AsyncIterator[LogEvent]:
            await asyncio.sleep(0.5)
            yield log_parts.notice("n1", "j1.0.1", "found")

        patched.setattr(engine.sessions["n1"], "tail", tail)
        async with asyncio.timeout(30):
            if node.reachable:
                await made.ready()
            return [it["text"] async for it in Reader(engine, None).read("n1", ask)]


async def test_a_search_may_find_nothing_for_long(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await read(state_dir, monkeypatch, SEARCH, FakeNode("n1")) == ["found"]


async def test_whoever_only_reads_does_not_wait_for_a_silent_node(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = TailRequest("j1.0.1")
    assert await read(state_dir, monkeypatch, ask, FakeNode("n1")) == ["n1 doesn't answer"]


class Copies:
    """The core's copies: of these attempts."""

    def __init__(self, *attempts: str) -> None:
        self._attempts = attempts
        self.asked: list[LogAsk] = []

    def has(self, attempt: str) -> bool:
        return attempt in self._attempts

    async def read(self, ask: LogAsk) -> AsyncIterator[LogEvent]:
        self.asked.append(ask)
        yield log_parts.notice("copy", "j1.0.1", "copied")


@pytest.mark.parametrize(
    ("ask", "copied", "told"),
    [
        (TailRequest("j1.0.1"), ("j1.0.1",), ["copied"]),
        (TailRequest("j1.0.1"), ("j2.0.1",), ["its log is gone from the node"]),
        (SEARCH, ("j1.0.1",), ["copied"]),
    ],
)
async def test_what_is_gone_from_its_node_is_read_from_its_copy(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, ask: LogAsk, copied: tuple[str, ...],
    told: list[str],
) -> None:  # fmt: skip
    async def tail(asked: LogAsk) -> AsyncIterator[LogEvent]:
        yield log_parts.notice("n1", "j1.0.1", "its log is gone from the node")

    async with bench(state_dir, inventory("n1"), FakeNode("n1")) as made:
        engine = made.running.engine
        monkeypatch.setattr(engine.sessions["n1"], "tail", tail)
        reader = Reader(engine, Copies(*copied))  # type: ignore[arg-type]
        found = [it async for it in reader.read("n1", ask)]
        assert [it["text"] for it in found] == told
        assert {it["node"] for it in found} == {"n1"}


async def test_of_a_search_only_what_the_node_did_not_tell_is_looked_for_in_copies(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tail(asked: LogAsk) -> AsyncIterator[LogEvent]:
        yield {"kind": "hits", "attempt": "j1.0.1", "node": "n1", "stream": "out", "at": 0,
               "to": 0, "text": "", "hits": [], "count": 0, "whole": True}  # fmt: skip
        raise ConnectionError("the link broke")

    both = replace(SEARCH, attempts=("j1.0.1", "j2.0.1"))
    async with bench(state_dir, inventory("n1"), FakeNode("n1")) as made:
        engine, copies = made.running.engine, Copies("j1.0.1", "j2.0.1")
        monkeypatch.setattr(engine.sessions["n1"], "tail", tail)
        reader = Reader(engine, copies)  # type: ignore[arg-type]
        assert [it["kind"] async for it in reader.read("n1", both)] == ["hits", "notice"]
        assert copies.asked == [replace(SEARCH, attempts=("j2.0.1",))]


async def test_more_parts_than_can_be_read_at_once_are_refused(state_dir: Path) -> None:
    piece = LogPiece("j1.0.1", "out")
    async with bench(state_dir, inventory("n1"), FakeNode("n1")) as made:
        request = LogRequest("", pieces=(piece,) * (log_parts.MOST_PIECES + 1))
        with pytest.raises(CommandError, match="at most 4096 parts"):
            async for _ in made.running.client().logs(request):
                pass


async def test_a_search_ends_where_the_node_is_out_of_reach(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode("n1", reachable=False)
    assert await read(state_dir, monkeypatch, SEARCH, node) == ["n1 doesn't answer"]
