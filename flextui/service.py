"""The headless twin: a core without a terminal, until it is told to end or has nothing to do.

Ending it ends no workload: supervisors on the nodes go on, and the next core collects what ended
meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable

from flextui.core.start import Core, CoreOptions, open_core


async def serve(
    options: CoreOptions,
    *,
    idle_exit_s: float | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Run a headless core until SIGTERM, SIGINT, `shutdown` or `idle_exit_s` without work.

    Raises what `open_core` raises. Prints `flextui: ready` on stderr once it takes commands,
    and calls `ready` then.
    """
    core = await open_core(options)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, core.ended.set)
    idle = loop.create_task(_idle(core, idle_exit_s)) if idle_exit_s is not None else None
    try:
        print("flextui: ready", file=sys.stderr, flush=True)
        notify("READY=1")
        ready()
        await core.ended.wait()
        notify("STOPPING=1")
    finally:
        if idle is not None:
            idle.cancel()
        await core.close()


async def _idle(core: Core, limit_s: float) -> None:
    """End the core after `limit_s` in which nothing ran or waited and nobody was connected."""
    watcher = core.engine.feed.join()
    loop = asyncio.get_running_loop()
    since = loop.time()
    while loop.time() - since < limit_s:
        if core.busy or core.server.clients:
            since = loop.time()
        left = since + limit_s - loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(left, 0.05), 5.0)):
                await watcher.changed()
                watcher.take()
                await asyncio.sleep(0.5)
    core.ended.set()


def notify(state: str) -> None:
    """Tell systemd, where it asked to be told (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.connect(address)
        peer.sendall(state.encode())
