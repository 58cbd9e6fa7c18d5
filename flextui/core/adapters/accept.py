"""New host keys: found without trusting them, filed when somebody has said yes, never replaced.

The caller shows each key and asks. What is filed here is flextui's own known_hosts file, read
beside the account's; a host that any file knows under another key is not new and stays refused.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from flextui.core.adapters.failure import LinkFailure
from flextui.core.adapters.known_hosts import KnownHosts
from flextui.core.adapters.pacer import Pacer
from flextui.core.adapters.ssh_errors import kind
from flextui.core.adapters.ssh_login import UnknownHostKey
from flextui.core.adapters.ssh_pool import SshPool
from flextui.core.model.inventory import Defaults, NodeSpec


async def unknown_keys(
    nodes: Sequence[NodeSpec], defaults: Defaults, file: Path
) -> list[UnknownHostKey]:
    """The first unknown key on the way to each node, each key once.

    A jump host's comes first: what lies behind it shows once that one is filed. Whatever else
    keeps a node from being reached is for the preflight to tell.
    """
    pacer = Pacer()
    pool = SshPool(defaults, file, pacer)
    try:
        found = await asyncio.gather(*(_ask(pool, pacer, node) for node in nodes))
    finally:
        await pool.close()
    unknown = {(it.name, it.port): it for it in found if it is not None}
    return [unknown[place] for place in sorted(unknown)]


async def _ask(pool: SshPool, pacer: Pacer, node: NodeSpec) -> UnknownHostKey | None:
    try:
        async with pacer.turn() as turn:
            connection, _, _ = await pool.connect(await pool.route(node), turn)
    except UnknownHostKey as unknown:
        return unknown
    except LinkFailure:
        return None
    connection.close()
    await connection.wait_closed()
    return None


def filed_as(unknown: UnknownHostKey) -> str:
    """The host as known_hosts files name it."""
    name = unknown.name.lower()
    return name if unknown.port == 22 else f"[{name}]:{unknown.port}"


def described(unknown: UnknownHostKey) -> str:
    """Host, kind of key and fingerprint, to be compared by a person."""
    return f"{filed_as(unknown)} {kind(unknown.key)} {unknown.key.get_fingerprint()}"


def file_keys(path: Path, accepted: Iterable[UnknownHostKey]) -> None:
    """Append the keys to a known_hosts file, durably; a host that is filed already is left alone.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # two people may say yes at once
        known = KnownHosts()
        for key in accepted:
            if known.lookup((path,), filed_as(key), 22).keys:
                continue
            public = key.key.export_public_key().decode().strip()
            file.write(f"{filed_as(key)} {public}\n")
        file.flush()
        os.fsync(descriptor)
