"""Drives a simulated fleet through its days: the load comes, the nodes work and tell of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
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

OPENS = 9.0 * HOUR
STEPS = 40
"""The night before is gone through in so many steps."""
FINE_STEPS = 52
FINE_S = 13.0
"""The last of them: the core believes that a GPU was idle only from samples close to each other."""
TICK_S = 0.1
SAMPLED_IN = 10
"""Each node is sampled once in so many ticks; where somebody idles, in each."""


async def simulated(
    inventory: Path, state_dir: Path, clock: DemoClock, seed: int, midnight: float
) -> tuple[Core, World]:
    """A core over the simulated nodes, and these. Raises what `open_core` raises."""
    world = World(clock, seed)
    options = CoreOptions(state_dir, inventory, simulated=True)
    core = await open_core(options, sessions=world, clock=clock)
    trouble.plan(world, midnight)
    return core, world


class Day:
    """One core's fleet, from the first midnight on (Unix seconds)."""

    def __init__(
        self, core: Core, world: World, clock: DemoClock, seed: int, midnight: float
    ) -> None:
        self._core = core
        self._world = world
        self._clock = clock
        self._seed = seed
        self._midnight = midnight
        self._days = 0
        self._night_is_over = False
        self._people = {
            name: Identity(name, uid, ()) for name, uid in boxes.people().items()
        }  # fmt: skip
        self._asking: list[tuple[Identity, Command]] = []

    async def live(self, begin: Callable[[], None]) -> None:
        """Until the core ends; `begin` is called when the night is over."""
        try:
            await self._night()
            self._night_is_over = True
            begin()
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
            self._clock.jump(self._midnight + at)
            await self._step()
            for node in self._world.nodes.values():
                if at > OPENS - 2 * FINE_S or node.machine.tells:
                    node.sample()

    async def _go_on(self, tick: int) -> None:
        await self._step()
        if self._clock.speed:
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
        if not self._night_is_over:
            await self._core.engine.ask(lambda draft: lambda snapshot: {})
            self._world.advance()
            await self._core.engine.ask(lambda draft: lambda snapshot: {})

    def _dawn(self) -> None:
        """Another day's work and troubles, at its midnight."""
        while self._clock.wall() >= self._midnight + self._days * DAY:
            began = self._midnight + self._days * DAY
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
