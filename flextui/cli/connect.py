"""The way to a core: the running one, wherever it is, or what a command may do without.

In this order: `--connect`; `--socket`; the core of the state directory; the inventory's head, over
SSH; the fleet's shared socket. Where none answers, a twin is started for those who hand in work,
`check` looks itself, the store is read for those who only look, and all others are refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from flextui.cli.output import DENIED, INPUT, UNREACHABLE, Failure
from flextui.cli.verb import Need, Options, Sound
from flextui.core.adapters import paths
from flextui.core.client import Client
from flextui.core.refusal import CommandError
from flextui.core.socket_client import Refused, SocketClient

_STARTING_S = 15.0
"""How long a core that is being started elsewhere is waited for."""
_LOOK_AGAIN_S = 0.05


@asynccontextmanager
async def connect(
    options: Options, need: Need, sound: Sound | None = None
) -> AsyncIterator[Client]:
    """A client for as long as the context lasts. Raises Failure, CommandError."""
    client = await open_client(options, need, sound)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def attach_only(options: Options) -> AsyncIterator[Client]:
    """The core that runs here, whatever inventory it has. Raises ConnectionError."""
    for path in sockets(options):
        try:
            client = await SocketClient.connect(path)
        except ConnectionError:
            continue
        try:
            yield client
        finally:
            await client.close()
        return
    raise ConnectionError("no core runs here")


async def open_client(options: Options, need: Need, sound: Sound | None = None) -> Client:
    """The client that a command acts through. What is wrong in itself starts no core. Raises
    Failure, CommandError."""
    if options.connect:
        from flextui.cli.head import over_ssh

        fleet = FleetNames.of(inventory_in_use(options)).fleet
        return await over_ssh(options.connect, fleet=fleet, path=options.socket)
    inventory = inventory_in_use(options)
    if options.socket:
        return await _at(Path(options.socket).absolute(), inventory)
    folder = paths.state_folder(options.state_dir)
    running = await running_core(options, inventory) or await _starting_core(folder, inventory)
    if running is not None:
        return running
    if sound is not None:
        sound()
    if need is Need.START:
        from flextui.cli.launch import start_twin

        await start_twin(folder, inventory)
        started = await _starting_core(folder, inventory)
        if started is not None:
            return started
        raise no_core("the one that was started has ended")
    if need is Need.NODES:
        from flextui.cli.preflight import PreflightClient

        return PreflightClient(options)
    if need is Need.STORE:
        from flextui.cli.stored import StoredClient

        return StoredClient(folder)
    raise no_core()


async def running_core(options: Options, inventory: Path | None) -> Client | None:
    """The core of the state directory, the inventory's head or the fleet's shared socket; None
    where none runs and this host may start one. Raises Failure, CommandError."""
    path = paths.recorded_socket(paths.state_folder(options.state_dir))
    other: Refused | None = None
    try:
        return await _attach(path, inventory)
    except ConnectionError:
        pass
    except Refused as error:
        other = error
    fleet = FleetNames.of(inventory)
    client = await _head_or_shared(fleet)
    if client is None and other is not None:
        raise other
    if client is not None and fleet.fleet and client.info.fleet != fleet.fleet:
        await client.close()
        theirs, where = client.info.fleet, client.info.core
        text = f"the core at {where} serves the fleet {theirs}, and {inventory} is {fleet.fleet}"
        raise Failure(INPUT, text)
    return client


async def _starting_core(folder: Path, inventory: Path | None) -> Client | None:
    """The core that holds the state directory and doesn't listen yet, once it does; None where
    none holds it. Raises Failure, Refused."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _STARTING_S
    while paths.is_locked(folder):
        try:
            return await _attach(paths.recorded_socket(folder), inventory)
        except ConnectionError as error:
            if loop.time() > deadline:
                raise Failure(
                    UNREACHABLE,
                    f"{paths.Locked(paths.holder(folder), folder)}, and doesn't answer: {error}",
                ) from error
        await asyncio.sleep(_LOOK_AGAIN_S)  # its start is another process's: there is no event
    return None


def no_core(why: str = "") -> CommandError:
    """The refusal of what needs a running core."""
    mend = "start one with `flextui --headless`, or open the terminal with `flextui`"
    return CommandError("unreachable", f"no core runs{f' ({why})' if why else ''}; {mend}")


def inventory_in_use(options: Options) -> Path | None:
    """The inventory that a command means; None for this machine alone. Raises Failure."""
    try:
        return paths.find_inventory(options.inventory)
    except paths.PathError as error:
        raise Failure(INPUT, str(error)) from error


def sockets(options: Options, fleet: str = "") -> list[Path]:
    """Where a core that runs on this machine may listen; that of a fleet asked for by name is
    looked for first."""
    if options.socket:
        return [Path(options.socket).absolute()]
    own = paths.recorded_socket(paths.state_folder(options.state_dir))
    if fleet:
        return [paths.shared_socket(fleet), own]
    found = FleetNames.of(inventory_in_use(options)).fleet
    return [own, paths.shared_socket(found)] if found else [own]


async def _at(path: Path, inventory: Path | None) -> Client:
    """The core behind this very socket. Raises Failure where none answers."""
    try:
        return await _attach(path, inventory)
    except ConnectionError as error:
        raise Failure(UNREACHABLE, str(error)) from error


async def _attach(path: Path, inventory: Path | None) -> Client:
    """The core at a socket. Raises Refused, ConnectionError, and Failure where one mayn't."""
    named = str(inventory) if inventory else None
    digest = hashlib.sha256(_read(inventory)).hexdigest() if inventory else None
    try:
        return await SocketClient.connect(path, inventory=named, digest=digest)
    except ConnectionError as error:
        if isinstance(error.__cause__, PermissionError):
            raise Failure(DENIED, f"the socket {path} isn't open to you") from error
        raise


def _read(inventory: Path) -> bytes:
    try:
        return inventory.read_bytes()
    except OSError as error:
        raise Failure(INPUT, f"{inventory} can't be read: {error.strerror}") from error


async def _head_or_shared(fleet: FleetNames) -> Client | None:
    if fleet.head and not is_this_host(fleet.head):
        from flextui.cli.head import over_ssh

        return await over_ssh(fleet.head, fleet=fleet.fleet)
    shared = paths.shared_socket(fleet.fleet) if fleet.fleet else None
    if shared is not None and _is_there(shared):
        try:
            return await _attach(shared, None)
        except ConnectionError:
            return None
    return None


def _is_there(path: Path) -> bool:
    """Whether there is such a socket. Raises Failure where one mayn't look."""
    try:
        path.stat()
    except PermissionError as error:
        raise Failure(DENIED, f"the socket {path} isn't open to you") from error
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class FleetNames:
    """What must be known of an inventory to find its core; the core itself reads it whole."""

    fleet: str = ""
    head: str = ""

    @classmethod
    def of(cls, inventory: Path | None) -> FleetNames:
        """The names that stand in this inventory. Raises Failure."""
        if inventory is None:
            return cls()
        from flextui.core.model.document import load

        documents, _ = load(_read(inventory), str(inventory))
        data = documents[0].data if documents else None
        if not isinstance(data, dict):
            return cls()
        texts = {key: data[key] for key in ("fleet", "head") if isinstance(data.get(key), str)}
        return cls(**texts)


def is_this_host(name: str) -> bool:
    """Whether a host's name means the machine that this runs on."""
    here = socket.gethostname().lower()
    if name.lower() in ("localhost", here) or name.lower().split(".")[0] == here.split(".")[0]:
        return True
    try:
        found = socket.getaddrinfo(name, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_is_mine(family, address) for family, _, _, _, address in found)


def _is_mine(family: int, address: tuple[object, ...]) -> bool:
    """Only an address of this machine can be bound to."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return False
    return True
