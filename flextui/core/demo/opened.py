"""A simulated fleet with its core: opened in a folder of its own, which goes away with it.

What the simulation needs takes long to import: it is imported when the fleet is opened, so that the
terminal can show meanwhile what fleet it will be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flextui.core.demo import boxes
from flextui.core.demo.clock import DemoClock
from flextui.core.later import imported

if TYPE_CHECKING:
    from flextui.core.start import Core

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
"""Of the first simulated day, a Monday."""


class Demo:
    """Between `open` and `close` it holds a core, over a folder that goes away with it."""

    def __init__(self, seed: int = 1, speed: float = 10.0) -> None:
        self.clock = DemoClock(MIDNIGHT)
        self.ready = asyncio.Event()
        """The night before is over: from now on time goes as fast as is asked for."""
        self.changed: Callable[[], None] = lambda: None
        """Called when the speed was changed."""
        self._seed = seed
        self._wanted = speed
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._core: Core | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def inventory(self) -> Path:
        """The file of the simulated fleet's inventory."""
        return self._place / "inventory.yaml"

    @property
    def state_dir(self) -> Path:
        """Where its core keeps its state."""
        return self._place / "state"

    @property
    def _place(self) -> Path:
        return Path(self._folder.name if self._folder is not None else os.devnull)

    # ── speed ──────────────────────────────────────────────────────────────────────────────────

    @property
    def speed(self) -> float:
        """Seconds of the fleet in one of ours; 0: it stands still."""
        return self._wanted

    def set_speed(self, speed: float) -> None:
        """From now on. It never goes backwards."""
        self._wanted = max(0.0, speed)
        if self.ready.is_set():
            self.clock.speed = self._wanted
        self.changed()

    def now(self) -> float:
        """Unix seconds there."""
        return self.clock.wall()

    # ── life ───────────────────────────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        """Make the folder with its inventory, if it isn't there yet. Raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="flextui-demo-")
            self.inventory.write_text(boxes.inventory_text())

    async def open(self) -> Core:
        """The core; the fleet joins and lives through the night while it runs. Raises what
        `open_core` raises."""
        self.prepare()
        await imported(
            "flextui.core.demo.day", "flextui.core.model.inventory", "flextui.core.start"
        )
        from flextui.core.demo.day import Day, simulated

        seed, clock = self._seed, self.clock
        self._core, world = await simulated(self.inventory, self.state_dir, clock, seed, MIDNIGHT)
        day = Day(self._core, world, clock, seed, MIDNIGHT)
        self._task = asyncio.get_running_loop().create_task(day.live(self._begin), name="demo")
        return self._core

    def _begin(self) -> None:
        """The night before is over."""
        self.clock.speed = self._wanted
        self.ready.set()

    async def close(self) -> None:
        """End the core and forget the folder."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._core is not None:
            await self._core.close()
        if self._folder is not None:
            self._folder.cleanup()
