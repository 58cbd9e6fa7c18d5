"""check --accept-new: host keys of hosts never seen before, filed on an explicit yes.

They go into a file of the state directory that the core reads beside the account's own
known_hosts. A key that changed or was revoked is never touched here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from flextui.cli import output
from flextui.cli.connect import FleetNames, inventory_in_use, is_this_host
from flextui.cli.hold import plain_failures
from flextui.cli.output import INPUT, Failure
from flextui.cli.text import count
from flextui.cli.verb import Options
from flextui.core.adapters import paths
from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.ssh import SshPool
from flextui.core.adapters.ssh_errors import kind
from flextui.core.adapters.ssh_login import UnknownHostKey
from flextui.core.model.inventory import Inventory, NodeSpec
from flextui.core.start import load_inventory

FILE = "known_hosts"


def accept(options: Options, names: Sequence[str], *, yes: bool) -> None:
    """Show the unknown keys of these nodes (all if none) and of the jump hosts before them, ask,
    and file them. Raises Failure."""
    inventory = inventory_in_use(options)
    head = FleetNames.of(inventory).head
    if options.connect or (head and not is_this_host(head)):
        where = options.connect or head
        raise Failure(INPUT, f"--accept-new files keys for the core's host: run it on {where}")
    with plain_failures():
        loaded, _ = load_inventory(inventory)
        folder = paths.state_folder(options.state_dir)
        paths.prepare_state_folder(folder)
    nodes = _chosen(loaded, names)
    while unknown := asyncio.run(_unknown(loaded, nodes, folder / FILE)):
        told = [f"{_filed(it)} {kind(it.key)} {it.key.get_fingerprint()}" for it in unknown]
        if yes:
            for line in told:
                output.say(f"  {line}")
        else:
            output.confirm(f"Trust {count(len(unknown), 'new host key')}?", told, always=True)
        _file(folder / FILE, unknown)


def _chosen(inventory: Inventory, names: Sequence[str]) -> list[NodeSpec]:
    nodes = [node for node in inventory.nodes if node.transport == "ssh"]
    return [node for node in nodes if not names or node.name in names]


async def _unknown(
    inventory: Inventory, nodes: Sequence[NodeSpec], file: Path
) -> list[UnknownHostKey]:
    """The first unknown key on the way to each node, each key once."""
    pool = SshPool(inventory.defaults, file)
    try:
        found = await asyncio.gather(*(_ask(pool, node) for node in nodes))
    finally:
        await pool.close()
    unknown = {(it.name, it.port): it for it in found if it is not None}
    return [unknown[key] for key in sorted(unknown)]


async def _ask(pool: SshPool, node: NodeSpec) -> UnknownHostKey | None:
    """The unknown key that ends an attempt to log in; any other end is check's to tell."""
    try:
        connection, _, _ = await pool.connect(await pool.route(node))
    except UnknownHostKey as unknown:
        return unknown
    except LinkFailure:
        return None
    connection.close()
    return None


def _filed(unknown: UnknownHostKey) -> str:
    """The host as known_hosts files name it."""
    return unknown.name if unknown.port == 22 else f"[{unknown.name}]:{unknown.port}"


def _file(path: Path, unknown: Sequence[UnknownHostKey]) -> None:
    lines = [
        f"{_filed(it).lower()} {it.key.export_public_key().decode().strip()}\n" for it in unknown
    ]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
