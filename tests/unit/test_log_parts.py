"""Parts of logs: how long a node that says nothing is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flextui.core import log_parts
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


async def test_a_search_ends_where_the_node_is_out_of_reach(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode("n1", reachable=False)
    assert await read(state_dir, monkeypatch, SEARCH, node) == ["n1 doesn't answer"]
