"""The first picture of a fleet whose core this terminal is about to open."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flextui.core.adapters import paths
from flextui.core.adapters.store_glance import left
from flextui.core.foreseen import foreseen

if TYPE_CHECKING:
    from flextui.app import Foresee


async def look_ahead(
    inventory: Path | None, folder: Path, foresee: Foresee, *, simulated: bool = False
) -> None:
    """Show what is known of the fleet; returns once that is painted."""
    try:
        text = None if inventory is None else inventory.read_bytes()
    except OSError:
        return  # the core says it
    before = left(folder / paths.DATABASE)
    known = foreseen(text, socket.gethostname(), before, time.time(), simulated=simulated)
    if known is not None:
        await foresee(known)
