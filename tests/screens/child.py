"""The terminal in a process of its own, over a made-up fleet: `python -m tests.screens.child`.

Arguments: fields of a Look as `name=value`; `busy` for a fleet whose nodes tell new numbers once a
second; `holds FILE` for one that holds the core and at its end writes `left: HANDED_OVER` there.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from flextui.app import FlextuiApp
from flextui.core.model.docs import Delta
from flextui.screens.look import Look
from tests.screens.fake_client import GIB, FakeClient, FakeLink, fleet_delta, gpu, node


class Telling(FakeClient):
    """40 nodes; each tells its numbers once a second, as telemetry does."""

    async def watch(self) -> AsyncIterator[Delta]:
        seed = random.Random(3)
        whole = fleet_delta()
        names = [f"node{n:02}" for n in range(40)]
        yield {**whole, "nodes": {name: self._node(name, seed) for name in names}}
        while True:
            for part in range(4):
                await asyncio.sleep(0.25)
                some = {name: self._node(name, seed) for name in names[part::4]}
                yield {"revision": 2, "full": False, "jobs": {}, "nodes": dict(some)}

    def _node(self, name: str, seed: random.Random) -> Any:
        gpus = [gpu(i, "NVIDIA H100 80GB HBM3", 80, 70) for i in range(8)]
        used = seed.randrange(100, 140) * GIB
        return node(name, gpus, cpu=seed.random(), memory_used_bytes=used)


def main() -> None:
    words = sys.argv[1:]
    client = Telling() if "busy" in words else FakeClient()
    link = FakeLink(client, holds_core="holds" in words)
    chosen: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if value:
            chosen[name] = {"true": True, "false": False}.get(value, value)
    app = FlextuiApp(link, Look(**chosen))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, app.leave_at_once)
        await app.run_async(mouse=app.look.mouse)

    asyncio.run(run())
    if link.holds_core:
        with open(words[-1], "w") as file:
            file.write(f"left: {link.handed_over}")


if __name__ == "__main__":
    main()
