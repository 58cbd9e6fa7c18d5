"""Sessions of a core: one for each node, whatever is ordered how quickly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from flextui.core.draft import SessionOrder
from flextui.core.links import Links
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.state import Node
from flextui.core.ports import CoreIdentity


class Session:
    def __init__(self, name: str, gate: asyncio.Event) -> None:
        self.name = name
        self.gate = gate
        self.open = True
        self.taken_over = 0

    def take_over(self) -> None:
        self.taken_over += 1

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        await self.gate.wait()
        self.open = False


class Factory:
    def __init__(self) -> None:
        self.made: list[Session] = []
        self.most = 0
        """Sessions that were open at one time."""
        self.gate = asyncio.Event()

    def open(
        self, node: NodeSpec, identity: CoreIdentity, root: Any, emit: Callable[[Any], None]
    ) -> Any:
        self.made.append(Session(node.name, self.gate))
        self.most = max(self.most, [it.open for it in self.made].count(True))
        return self.made[-1]

    async def close(self) -> None:
        pass


async def settled(links: Links) -> None:
    async with asyncio.timeout(10):
        while links._tasks:
            await asyncio.wait(list(links._tasks))


async def test_takeovers_close_together_leave_one_session() -> None:
    factory = Factory()
    links = Links(factory, lambda event: None)
    links.former = ("old",)
    node = Node("n1", NodeSpec(host="n1", name="n1"))
    links.open(node)
    for _ in range(3):
        links.order(SessionOrder("n1", "take_over"), node)
    await asyncio.sleep(0)
    factory.gate.set()
    await settled(links)
    assert factory.most == 1
    assert links.sessions["n1"] is factory.made[-1]
    assert factory.made[-1].taken_over == 1
    await links.close(release=False, suspend_leases=False)
    assert not any(it.open for it in factory.made)


async def test_a_takeover_during_a_reopening_reaches_the_new_session() -> None:
    factory = Factory()
    links = Links(factory, lambda event: None)
    node = Node("n1", NodeSpec(host="n1", name="n1"))
    links.open(node)
    links.order(SessionOrder("n1", "reopen"), node)
    await asyncio.sleep(0)
    links.order(SessionOrder("n1", "take_over"), node)
    factory.gate.set()
    await settled(links)
    assert [it.taken_over for it in factory.made] == [0, 1]


async def test_closing_leaves_no_session_behind_that_was_being_reopened() -> None:
    factory = Factory()
    links = Links(factory, lambda event: None)
    node = Node("n1", NodeSpec(host="n1", name="n1"))
    links.open(node)
    links.order(SessionOrder("n1", "reopen"), node)
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(links.close(release=False, suspend_leases=False))
    await asyncio.sleep(0)
    factory.gate.set()
    async with asyncio.timeout(10):
        await closing
    assert not any(it.open for it in factory.made)
