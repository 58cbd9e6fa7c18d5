"""Live names for the shell: quick, silent, and only from a core that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

import click

from flextui.core.client import Client
from flextui.core.commands import ListJobs, ListNodes, ListProblems, ListReservations, WhoAmI
from flextui.core.model.docs import JobDoc, NodeDoc, ProblemDoc, WindowDoc
from flextui.screens.format import short_model

_PATIENCE_S = 0.8
"""A shell that waits for longer feels broken."""
_MANY = 200

_Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _live(find: Callable[[Client], Any]) -> _Complete:
    """A completion that asks the running core; nothing where there is none."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            names = asyncio.run(asyncio.wait_for(_ask(ctx, find), _PATIENCE_S))
        except Exception:  # a completion that complains would spoil the line being typed
            return []
        return [name for name in names if name.startswith(incomplete)]

    return complete


async def _ask(ctx: click.Context, find: Callable[[Client], Any]) -> list[str]:
    from flextui.cli.connect import attach_only
    from flextui.cli.verb import Options

    said = ctx.find_root().params
    options = Options(
        inventory=said.get("inventory"), state_dir=said.get("state_dir"), socket=said.get("socket")
    )
    if said.get("connect"):
        return []
    async with attach_only(options) as client:
        return cast(list[str], await find(client))


def listed(words: Iterable[str]) -> _Complete:
    """A completion of words with commas between them."""
    known = tuple(words)

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, begun = incomplete.rpartition(",")
        said = before.split(",")
        return [f"{before}{comma}{it}" for it in known if it.startswith(begun) and it not in said]

    return complete


async def _job_names(client: Client) -> list[str]:
    """Names as this user would say them: one's own without the owner, live ones first."""
    me = client.info.user
    jobs = cast(list[JobDoc], (await client.call(ListJobs(limit=_MANY)))["jobs"])
    names = [
        name
        for job in jobs
        for name in (
            job["name"] if job["owner"] == me else f"{job['owner']}/{job['name']}",
            job["id"],
        )
    ]
    return list(dict.fromkeys(names))


async def _nodes(client: Client) -> list[NodeDoc]:
    return cast(list[NodeDoc], (await client.call(ListNodes()))["nodes"])


async def _node_names(client: Client) -> list[str]:
    return [node["name"] for node in await _nodes(client)]


async def _device_names(client: Client) -> list[str]:
    nodes = await _nodes(client)
    devices = [f"{node['name']}:{gpu['index']}" for node in nodes for gpu in node["gpus"]]
    return [node["name"] for node in nodes] + devices


async def _user_names(client: Client) -> list[str]:
    jobs = cast(list[JobDoc], (await client.call(ListJobs(limit=_MANY)))["jobs"])
    return sorted({job["owner"] for job in jobs})


async def _reservation_names(client: Client) -> list[str]:
    """Those that a command made: only they can be ended by one."""
    found = cast(list[WindowDoc], (await client.call(ListReservations()))["reservations"])
    return [it["name"] for it in found if it["source"] == "command"]


async def _problems(client: Client) -> list[ProblemDoc]:
    return cast(list[ProblemDoc], (await client.call(ListProblems()))["problems"])


async def _problem_ids(client: Client) -> list[str]:
    return [it["id"] for it in await _problems(client)]


async def _silenced_ids(client: Client) -> list[str]:
    return [it["id"] for it in await _problems(client) if it["silenced"] is not None]


async def _project_names(client: Client) -> list[str]:
    return cast(list[str], (await client.call(WhoAmI()))["projects"])


async def _gpu_models(client: Client) -> list[str]:
    """As a spec says them: `a100`."""
    models = {gpu["model"] for node in await _nodes(client) for gpu in node["gpus"]}
    return sorted({short_model(it).partition("-")[0].lower() for it in models})


job_names = _live(_job_names)
project_names = _live(_project_names)
gpu_models = _live(_gpu_models)
node_names = _live(_node_names)
device_names = _live(_device_names)
user_names = _live(_user_names)
reservation_names = _live(_reservation_names)
problem_ids = _live(_problem_ids)
silenced_ids = _live(_silenced_ids)
