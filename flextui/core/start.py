"""One way to a running core, for the terminal and for the headless twin alike."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import os
import socket
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flextui import __version__
from flextui.core import wire
from flextui.core.adapters import paths
from flextui.core.adapters.clock import SystemClock
from flextui.core.adapters.fleet import Fleet
from flextui.core.adapters.store import SqliteStore
from flextui.core.client import CoreInfo
from flextui.core.copies import Copies
from flextui.core.desk import Desk
from flextui.core.draft import Shared
from flextui.core.embedded import EmbeddedClient
from flextui.core.engine import Engine
from flextui.core.identity import own_identity
from flextui.core.model.inventory import Inventory, default_inventory, read_inventory
from flextui.core.model.state import Identity
from flextui.core.ports import Clock, SessionFactory, Store
from flextui.core.server import Server
from flextui.core.view import CoreFacts

log = logging.getLogger(__name__)

COPIES = "logs"
"""Where in the state directory copies of logs lie."""
TIDY_EVERY_S = 3600.0
"""Between two full collections, which hold the loop for as long as memory is large."""


class StartError(Exception):
    """A core can't be started here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class CoreOptions:
    """How a core is asked for. `socket_group` makes it a shared one."""

    state_dir: Path
    inventory: Path | None = None
    headless: bool = False
    socket: Path | None = None
    socket_group: str | None = None
    simulated: bool = False
    """The nodes aren't there; every screen says so."""


class Core:
    """A running core: engine, socket, lock. `client` is for the process that holds it."""

    def __init__(
        self, engine: Engine, desk: Desk, server: Server, lock: paths.StateLock, info: CoreInfo
    ) -> None:
        self.engine = engine
        self.desk = desk
        self.server = server
        self.info = info
        self.ended = asyncio.Event()
        """Set by a permitted `shutdown` and by the engine's death: its holder then closes it."""
        self._lock = lock
        desk.ended = self.ended.set
        self._tasks: list[asyncio.Task[None]] = []
        self.keep(self._until_engine_ends())

    def client(self) -> EmbeddedClient:
        """A client for the account that this process runs under."""
        return self.client_for(own_identity())

    def client_for(self, who: Identity) -> EmbeddedClient:
        """A client for a caller whom the kernel has identified."""
        ahead = self.engine.now().wall - time.time()
        info = replace(self.info, user=who.user, admin=self.desk.admin(who), ahead_s=ahead)
        return EmbeddedClient(self.desk, who, info)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that goes on until the core is closed."""
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _until_engine_ends(self) -> None:
        await self.engine.ended.wait()
        self.ended.set()

    @property
    def busy(self) -> bool:
        """Whether work is live, pending or still to be collected."""
        snapshot = self.engine.snapshot
        return bool(snapshot.jobs) or any(snapshot.by_node.values())

    async def close(self, *, hand_over: bool = False) -> None:
        """End the core; workloads keep running.

        `hand_over`: another core of this state directory follows at once, so the nodes stay ours.
        """
        for task in self._tasks:
            task.cancel()
        await self.server.close()
        if self.desk.copies is not None:
            await self.desk.copies.close()
        await self.engine.close(release=not hand_over, suspend_leases=True)
        self._lock.release()


async def open_core(
    options: CoreOptions,
    *,
    sessions: SessionFactory | None = None,
    store: Store | None = None,
    clock: Clock | None = None,
) -> Core:
    """Start a core. Raises `StartError`, `Locked`, `PathError`, `StoreError`, `SocketError`,
    `BadInput` (the inventory)."""
    folder = options.state_dir
    inventory, digest = load_inventory(options.inventory)
    _check_head(inventory)
    paths.prepare_state_folder(folder)
    lock = paths.StateLock(folder)
    lock.acquire(__version__)
    try:
        return await _open(options, inventory, digest, lock, sessions, store, clock)
    except BaseException:
        lock.release()
        raise


async def _open(
    options: CoreOptions,
    inventory: Inventory,
    digest: str,
    lock: paths.StateLock,
    sessions: SessionFactory | None,
    store: Store | None,
    clock: Clock | None,
) -> Core:
    folder = options.state_dir
    clock = clock or SystemClock()
    me = own_identity()
    host = socket.gethostname()
    owner = f"{me.user}@{host}"
    facts = CoreFacts(
        core=owner,
        pid=os.getpid(),
        version=__version__,
        headless=options.headless,
        inventory=str(options.inventory or ""),
        started_at=clock.now().wall,
        simulated=options.simulated,
    )
    engine = Engine(
        inventory,
        store or SqliteStore(folder),
        sessions or _sessions(inventory, folder),
        clock,
        owner=owner,
        shared=Shared(me.uid) if options.socket_group else None,
    )
    desk = Desk(engine, facts, me.uid)
    path = options.socket or paths.default_socket(folder)
    server = Server(path, options.socket_group, lambda who: core.client_for(who), digest)
    core = Core(engine, desk, server, lock, _info(facts, inventory, me))
    try:
        await engine.start()
        await _keep_copies(desk, folder / COPIES)
        await server.start()
        paths.record_socket(folder, path)
        _spare_the_collector()
        if options.headless:
            core.keep(_tidy())
    except BaseException:
        await server.close()
        await engine.close(release=True, suspend_leases=True)
        raise
    return core


async def _keep_copies(desk: Desk, folder: Path) -> None:
    """Copies of logs are worth having, not worth a core that doesn't start."""
    copies = Copies(desk.engine, folder)
    try:
        await copies.start()
    except OSError as error:
        log.warning("no copies of logs are kept in %s: %s", folder, error.strerror)
        return
    desk.copies = copies


def _spare_the_collector() -> None:
    """What was imported and loaded stays: walking it would hold the loop. A core makes and drops
    many small records a turn, none of them in circles, so only the youngest are walked often."""
    gc.freeze()
    gc.set_threshold(2_000, 10, 1_000_000)


async def _tidy() -> None:
    """What links leave behind in circles goes now and then; a terminal sees to that itself."""
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def load_inventory(path: Path | None) -> tuple[Inventory, str]:
    """The inventory and the fingerprint of its file. Raises `BadInput`, `StartError`."""
    if path is None:
        return default_inventory(socket.gethostname()), ""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StartError(f"{path} can't be read: {error.strerror}") from error
    return read_inventory(data, str(path)), hashlib.sha256(data).hexdigest()


def _check_head(inventory: Inventory) -> None:
    """Only the head starts the core of a fleet that names one."""
    head = inventory.head
    if head is None:
        return
    here = socket.gethostname()
    if head in (here, "localhost") or head.split(".")[0] == here.split(".")[0]:
        return
    raise StartError(
        f"the core of {inventory.fleet} runs on {head}, and this is {here}: "
        f"use `flextui --connect {head}`"
    )


def _sessions(inventory: Inventory, folder: Path) -> SessionFactory:
    return Fleet(
        defaults=inventory.defaults,
        known_hosts=folder / "known_hosts",
        log_keep_s=inventory.policy.log_keep,
        log_bytes=inventory.policy.log_size,
    )


def _info(facts: CoreFacts, inventory: Inventory, me: Identity) -> CoreInfo:
    return CoreInfo(
        version=facts.version,
        wire=wire.VERSION,
        core=facts.core,
        pid=facts.pid,
        fleet=inventory.fleet,
        inventory=facts.inventory,
        headless=facts.headless,
        user=me.user,
        admin=True,
    )
