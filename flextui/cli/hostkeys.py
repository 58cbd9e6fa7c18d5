"""check --accept-new: host keys of hosts never seen before, filed on an explicit yes.

They go into a file of the state directory that the core reads beside the account's own
known_hosts. A key that changed or was revoked is never touched here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from flextui.cli import output
from flextui.cli.connect import FleetNames, inventory_in_use, is_this_host
from flextui.cli.hold import plain_failures
from flextui.cli.output import INPUT, Failure
from flextui.cli.text import count
from flextui.cli.verb import Options
from flextui.core.adapters import paths
from flextui.core.adapters.accept import described, file_keys, unknown_keys
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
    while unknown := asyncio.run(unknown_keys(nodes, loaded.defaults, folder / FILE)):
        told = [described(it) for it in unknown]
        if yes:
            for line in told:
                output.say(f"  {line}")
        else:
            output.confirm(f"Trust {count(len(unknown), 'new host key')}?", told, always=True)
        file_keys(folder / FILE, unknown)


def _chosen(inventory: Inventory, names: Sequence[str]) -> list[NodeSpec]:
    nodes = [node for node in inventory.nodes if node.transport == "ssh"]
    return [node for node in nodes if not names or node.name in names]
