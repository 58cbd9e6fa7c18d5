"""check where no core runs: this command looks at the nodes itself, under the core's own name.

It holds the state directory for as long as it looks, starts nothing and ends nothing. What the
nodes have to report stays there for the next core.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flextui import __version__
from flextui.cli import output
from flextui.cli.connect import inventory_in_use, no_core
from flextui.cli.hold import plain_failures
from flextui.cli.verb import Options
from flextui.core.adapters import paths
from flextui.core.adapters.fleet import Fleet
from flextui.core.adapters.store import SqliteStore
from flextui.core.client import CoreInfo
from flextui.core.commands import Check, Command, CommandError, LogRequest, ShellRequest
from flextui.core.identity import own_identity
from flextui.core.model.docs import CheckDoc, Delta, EventDoc, LogEvent, ShellEvent, ShellInput
from flextui.core.model.inventory import NodeSpec
from flextui.core.model.problems import nearest
from flextui.core.ports import CoreIdentity, Loaded
from flextui.core.start import load_inventory


class PreflightClient:
    """Knows one command: Check."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def info(self) -> CoreInfo:
        return CoreInfo(__version__, 0, "", 0, "", "", False, own_identity().user, False)

    async def call(self, command: Command) -> dict[str, Any]:
        if not isinstance(command, Check):
            raise no_core()
        with plain_failures():
            return {"checks": await _check_from_here(self._options, command.nodes)}

    async def watch(self) -> AsyncIterator[Delta]:
        raise no_core()
        yield

    async def logs(self, request: LogRequest) -> AsyncIterator[LogEvent]:
        raise no_core()
        yield

    async def events(self, *, after: int | None = None) -> AsyncIterator[EventDoc]:
        raise no_core()
        yield

    async def shell(
        self, request: ShellRequest, inputs: AsyncIterator[ShellInput]
    ) -> AsyncIterator[ShellEvent]:
        raise no_core()
        yield

    async def close(self) -> None: ...


async def _check_from_here(options: Options, names: Sequence[str]) -> list[CheckDoc]:
    """The preflight of these nodes, all if none. Raises CommandError, and what a core raises that
    can't start."""
    inventory, _ = load_inventory(inventory_in_use(options))
    known = [node.name for node in inventory.nodes]
    for name in names:
        if name not in known:
            like = nearest(name, known)
            hint = f"; did you mean {like}?" if like else f"; there are {', '.join(known)}"
            raise CommandError("input", f"there is no node '{name}'{hint}")
    folder = paths.state_folder(options.state_dir)
    paths.prepare_state_folder(folder)
    with _held(folder):
        output.say("flextui: no core runs; checking from here")
        loaded = await _load(folder)
        fleet = Fleet(defaults=inventory.defaults, known_hosts=folder / "known_hosts")
        return await checked(fleet, [it for it in inventory.nodes if it.name in names or not names],
                             loaded)  # fmt: skip


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    lock = paths.StateLock(folder)
    lock.acquire(__version__)
    try:
        yield
    finally:
        lock.release()


async def _load(folder: Path) -> Loaded:
    store = SqliteStore(folder)
    try:
        return await asyncio.to_thread(store.load)
    finally:
        await store.close()


async def own_state(folder: Path) -> Loaded:
    """The state of this directory's core, which doesn't run; its epoch has risen. Raises `Locked`,
    `StoreError`."""
    with _held(folder):
        return await _load(folder)


async def checked(fleet: Fleet, nodes: Sequence[NodeSpec], loaded: Loaded) -> list[CheckDoc]:
    """The preflight of these nodes under that core's name. Closes the fleet."""
    owner = f"{own_identity().user}@{socket.gethostname()}"
    identity = CoreIdentity(loaded.core_id, loaded.epoch, owner)
    links = []
    try:
        for node in nodes:
            record = loaded.nodes.get(node.name)
            root = (record.root_path, record.root_id) if record and record.root_id else None
            links.append(fleet.open(node, identity, root, lambda _: None))
        found = await asyncio.gather(*(link.check() for link in links))
        return [row for rows in found for row in rows]
    finally:
        await asyncio.gather(*(it.close(release=True, suspend_leases=True) for it in links))
        await fleet.close()
