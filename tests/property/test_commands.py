"""Any command that the wire lets through, from anybody: the core says what is wrong with it or does
it, nothing fails inside, and nobody changes what isn't theirs."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import random
import typing
from pathlib import Path
from typing import Any

import pytest

from flextui.core import commands as c
from flextui.core.client import Client
from flextui.core.commands import CommandError, Offset
from flextui.core.model.state import Identity, Snapshot
from tests.unit.core_kit import bench
from tests.unit.fake_fleet import FakeNode, gpu, inventory

EVE = Identity("eve", 4242)
KINDS = [it for it in typing.get_args(c.Command) if it is not c.Shutdown]
WORDS = (
    "", "j1", "j2", "web", "train", "x" * 300, "n1", "n2", "n1:0", "0", "GPU-a", "\x1b[31m", "é😀",
    "-1", "10m", "7d", "2026-11-24", "9999-12-31", "0001-01-01", "99999999999d", "1e309", "nan",
    "now", "user", "project", "all", "group:x", "\x00", "..", "*", "j1.0.1", "j99999999", "UTC",
    "Europe/Berlin", "daily", "-5m",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 50, 100, 2**31 - 1, 1 - 2**31)
SECONDS = (0.0, 1.0, -1.0, 3600.0, 1e308, 5e-324, float("nan"), float("inf"))
SPECS = (
    "", "{", "name: web\ntype: service\nrun: sleep\n", "name: train\nrun: exit 1\n",
    "name: web\ntype: service\ncount: 3\nrun: sleep\n", "name: gang\nnodes: 2\nrun: sleep\n",
    "name: later\nrun: sleep\nbegin: 10m\n", "name: late\nrun: sleep\ndeadline: 10m\n",
    "name: all\ntype: system\nrun: sleep\n", "name: train\nrun: sleep\nresources: {gpus: 1}\n",
    "name: idle\nrun: sleep\nidle: {for: 1m, then: stop}\nresources: {gpus: 1}\n",
)  # fmt: skip


def some(hint: Any, chance: random.Random) -> Any:
    """A value of this type."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return tuple(some(inner[0], chance) for _ in range(chance.choice((0, 1, 1, 2))))
    if type(None) in inner:
        return None if chance.random() < 0.3 else some(inner[0], chance)
    if hint is c.Source:
        return c.Source("a", chance.choice(SPECS))
    if dataclasses.is_dataclass(hint):
        return record(hint, chance)
    values: dict[Any, tuple[Any, ...]] = {
        str: WORDS, int: NUMBERS, float: SECONDS, bool: (True, False), Offset: (Offset(0),)
    }  # fmt: skip
    return chance.choice(values[hint])


def record(kind: Any, chance: random.Random) -> Any:
    """A command, with what must be said and some of what may be."""
    hints = typing.get_type_hints(kind)
    return kind(**{
        it.name: some(hints[it.name], chance) for it in dataclasses.fields(kind)
        if it.default is dataclasses.MISSING or chance.random() < 0.6
    })  # fmt: skip


def others(snapshot: Snapshot) -> object:
    """What people decided about jobs that aren't Eve's, and about the fleet."""
    jobs = {
        it.id: (it.revision, it.priority, it.count, it.stop, it.hold)
        for it in (*snapshot.jobs.values(), *snapshot.recent.values())
        if it.owner != EVE.user
    }
    restarts = [it.key for it in snapshot.tasks.values()
                if it.key.job in jobs and it.restart and it.restart.by == EVE.user]  # fmt: skip
    nodes = {it.name: (it.drain, it.cordon, it.cordoned_gpus, it.declared_lost)
             for it in snapshot.nodes.values()}  # fmt: skip
    return jobs, restarts, nodes, dict(snapshot.reservations)


@pytest.mark.parametrize("seed", range(4))
async def test_any_command_is_done_or_refused_and_nobody_acts_for_others(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)
    nodes = FakeNode("n1", gpus=(gpu("GPU-a"), gpu("GPU-b", 1))), FakeNode("n2")
    async with bench(tmp_path, inventory("n1", "n2"), *nodes) as made:
        me, eve = made.running.client(), made.running.client_for(EVE)

        done: set[type] = set()

        async def ask(client: Client, command: Any) -> None:
            with contextlib.suppress(CommandError):
                await client.call(command)
                done.add(type(command))

        for _ in range(250):
            await ask(me, record(chance.choice(KINDS), chance))
            before = others(made.snapshot)
            command = record(chance.choice(KINDS), chance)
            await ask(eve, command)
            assert others(made.snapshot) == before, command
        assert len(done) > len(KINDS) / 2, "most kinds were done at least once"
    failures = [it for it in caplog.records if it.levelno >= logging.ERROR]
    assert failures == [], "the core logs what fails inside of it"
