"""What goes wrong on a day of the simulated fleet, and what people do about it."""

from __future__ import annotations

import random
from functools import partial

from flextui.core.demo.boxes import GIB
from flextui.core.demo.load import DAY, HOUR, Work
from flextui.core.demo.telemetry import Tenant
from flextui.core.demo.world import World
from flextui.core.model.state import NodeStatus

NO_ANSWER = "no answer for 30 s: the link works no more, or the machine is down"
OTHER_KEY = (
    "v100-3.invalid shows another host key than known_hosts has: if it was installed anew, remove "
    "the old key with `ssh-keygen -R v100-3.invalid` and run `flextui check --accept-new v100-3`"
)


def plan(world: World, began: float) -> None:
    """Put the first day's troubles into the world; `began` is its midnight."""
    at = began
    jupyter = Tenant(
        None, "root", "python -m ipykernel_launcher -f kernel.json",
        Work("notebook", busy=0.2, memory=0.39), at + 5 * HOUR, ("GPU-a100-3-5", "GPU-a100-3-6"),
        41_877, container="jupyter-carol", owner="carol",
    )  # fmt: skip
    render = Tenant(
        None, "noor", "blender -b scene.blend -a", Work("train", busy=0.99, memory=0.46),
        at + 6.5 * HOUR, ("GPU-ada-5-0",), 7_120, memory=20 * GIB,
    )  # fmt: skip
    world.at(at + 5 * HOUR, lambda: world.machine("a100-3").others.append(jupyter))
    world.at(at + 6.5 * HOUR, lambda: world.machine("ada-5").others.append(render))
    world.at(at + 7 * HOUR, lambda: setattr(world.machine("mixed-1"), "disk_free", 0.012))
    world.at(at + 3 * HOUR, lambda: world.nodes["v100-3"].lose(
        NodeStatus.UNREACHABLE, "host_key", OTHER_KEY))  # fmt: skip
    world.at(at + 8.93 * HOUR, lambda: world.nodes["h100-4"].break_device(
        3, 79, "the GPU has fallen off the bus"))  # fmt: skip
    away(world, "ada-3", at + 8.985 * HOUR, 1800)


def day(world: World, began: float, number: int) -> None:
    """A day's worth of nodes that go away and come back, after the first morning."""
    random_ = random.Random(f"{world.seed} trouble {number}")
    names = [it for it in world.nodes if it not in ("v100-3", "h100-4")]
    for _ in range(7):
        at = began + random_.uniform(9.5 * HOUR, DAY) if number == 0 else (
            began + random_.uniform(0, DAY))  # fmt: skip
        away(world, random_.choice(names), at, random_.uniform(120, 2400))


def away(world: World, name: str, at: float, seconds: float) -> None:
    """A node that doesn't answer for a while."""
    world.at(at, partial(_lose, world, name))
    world.at(at + seconds, partial(_find, world, name))


def _lose(world: World, name: str) -> None:
    if world.machine(name).down is None:
        world.nodes[name].lose(NodeStatus.LOST, "timeout", NO_ANSWER)


def _find(world: World, name: str) -> None:
    down = world.machine(name).down
    if down is not None and down.status is NodeStatus.LOST:
        world.nodes[name].find()
