"""Imports that come when they are needed, beside the event loop and one after the other.

Two threads that import packages whose modules import each other may each see half of one. So there
is a queue, and what is long is asked for in parts, that something short may come between.
"""

from __future__ import annotations

import asyncio
import threading
from importlib import import_module
from types import ModuleType

_one = threading.Lock()


def _import(name: str) -> ModuleType:
    with _one:
        return import_module(name)


async def imported(name: str, *parts: str) -> ModuleType:
    """The module of that name. `parts` of what it imports are imported before it, in this order."""
    for part in parts:
        await asyncio.to_thread(_import, part)
    return await asyncio.to_thread(_import, name)
