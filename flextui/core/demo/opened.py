"""A simulated fleet with its core: opened in a folder of its own, and driven through its day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from flextui.core.commands import Command, CommandError, Drain, Source, Submit
from flextui.core.demo import boxes, load, trouble
from flextui.core.demo.clock import DemoClock
from flextui.core.demo.load import DAY, HOUR, Planned
from flextui.core.demo.world import World
from flextui.core.model.state import Identity
from flextui.core.start import Core, CoreOptions, open_core

log = logging.getLogger(__name__)

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
"""Of the first simulated day, a Monday."""
OPENS = 9.0 * HOUR
STEPS = 40
"""The night before is gone through in so many steps."""
FINE_STEPS = 52
FINE_S = 13.0
"""The last of them: the core believes that a GPU was idle only from samples close to each other."""
TICK_S = 0.1
SAMPLED_IN = 10
"""Each node is sampled once in so many ticks; where somebody idles, in each."""


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
        self._folder = tempfile.TemporaryDirectory(prefix="flextui-demo-")
        self._task: asyncio.Task[None] | None = None
        self._days = 0
        self._people = {
            name: Identity(name, uid, ()) for name, uid in boxes.people().items()
        }  # fmt: skip
        self._asking: list[tuple[Identity, Command]] = []

    @property
    def inventory(self) -> Path:
        """The file of the simulated fleet's inventory."""
        return Path(self._folder.name) / "inventory.yaml"

    @property
    def state_dir(self) -> Path:
        """Where its core keeps its state."""
        return Path(self._folder.name) / "state"

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

    async def open(self) -> Core:
        """The core; the fleet joins and lives through the night while it runs. Raises what
        `open_core` raises."""
        self.inventory.write_text(boxes.inventory_text())
        options = CoreOptions(self.state_dir, self.inventory, simulated=True)
        self._world = World(self.clock, self._seed)
        self._core = await open_core(options, sessions=self._world, clock=self.clock)
        trouble.plan(self._world, MIDNIGHT)
        self._task = asyncio.get_running_loop().create_task(self._live(), name="demo")
        return self._core

    async def close(self) -> None:
        """End the core and forget the folder."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._core.close()
        self._folder.cleanup()

    async def _live(self) -> None:
        try:
            await self._night()
            self.clock.speed = self._wanted
            self.ready.set()
            tick = 0
            while True:
                await asyncio.sleep(TICK_S)
                tick += 1
                await self._go_on(tick)
        except ConnectionError:
            return  # the core ends
        except Exception:
            log.exception("the simulation ended")

    async def _night(self) -> None:
        """From midnight to the opening, as fast as the engine follows."""
        random_ = random.Random(f"{self._seed} night")
        times = sorted(random_.uniform(1, OPENS - FINE_S * FINE_STEPS) for _ in range(STEPS))
        fine = [OPENS - FINE_S * left for left in range(FINE_STEPS, -1, -1)]
        for at in (*times, *fine):
            self.clock.jump(MIDNIGHT + at)
            await self._step()
            for node in self._world.nodes.values():
                if at > OPENS - 2 * FINE_S or node.machine.tells:
                    node.sample()

    async def _go_on(self, tick: int) -> None:
        await self._step()
        if self.clock.speed:
            for number, node in enumerate(self._world.nodes.values()):
                if number % SAMPLED_IN == tick % SAMPLED_IN or node.machine.tells:
                    node.sample()

    async def _step(self) -> None:
        """All that is due by now, and the engine's answer to it."""
        self._dawn()
        self._world.advance()
        asking, self._asking = self._asking, []
        for who, command in asking:
            try:
                await self._core.desk.call(command, who)
            except CommandError as error:
                if error.code == "unreachable":
                    raise ConnectionError(error.text) from error
                log.info("%s was refused: %s", who.user, error.text)
        if not self.ready.is_set():
            await self._core.engine.ask(lambda draft: lambda snapshot: {})
            self._world.advance()
            await self._core.engine.ask(lambda draft: lambda snapshot: {})

    def _dawn(self) -> None:
        """Another day's work and troubles, at its midnight."""
        while self.clock.wall() >= MIDNIGHT + self._days * DAY:
            began = MIDNIGHT + self._days * DAY
            for planned in load.day(self._seed, self._days):
                self._world.at(began + planned.at, partial(self._submit, planned))
            trouble.day(self._world, began, self._days)
            if self._days == 0:
                drain = Drain("desk-4", True, "new power supply at noon")
                self._world.at(began + 8.2 * HOUR, partial(self._ask, "olga", drain))
            self._days += 1

    def _submit(self, planned: Planned) -> None:
        self._world.works[f"{planned.owner}/{planned.name}"] = planned.work
        source = Source(f"{planned.name}.yaml", planned.text)
        self._ask(planned.owner, Submit((source,)))

    def _ask(self, name: str, command: Command) -> None:
        self._asking.append((self._people[name], command))
