"""Every place there is: by its name, made for a location, and with all its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.theme import BUILTIN_THEMES

from flextui.screens.apply import Apply
from flextui.screens.ask import Ask
from flextui.screens.columns import Columns
from flextui.screens.commands import FIELDS as COMMAND_FIELDS
from flextui.screens.commands import Commands
from flextui.screens.config import Known
from flextui.screens.confirm import Confirm
from flextui.screens.editor import Editor
from flextui.screens.events import Events
from flextui.screens.fields import events, gpus, jobs, nodes, placing, queue, revisions
from flextui.screens.fields import problems as problem_fields
from flextui.screens.firstrun import FIELDS as MACHINES
from flextui.screens.firstrun import FirstRun
from flextui.screens.fleet import Fleet
from flextui.screens.goto import GoTo
from flextui.screens.gpu import PROCESSES as GPU_PROCESSES
from flextui.screens.gpu import Gpu
from flextui.screens.gpus import Gpus
from flextui.screens.help import Help
from flextui.screens.job import ATTEMPT_KEYS, Job
from flextui.screens.jobs import Jobs
from flextui.screens.keyed import EVERYWHERE
from flextui.screens.keys import Key
from flextui.screens.leave import Leave
from flextui.screens.listing import Field
from flextui.screens.logs import Logs
from flextui.screens.naming import Naming
from flextui.screens.node import DEVICE_KEYS, DEVICES, PROCESS_KEYS, Node
from flextui.screens.number import Number
from flextui.screens.place import Place
from flextui.screens.placement import PLACED_KEYS, Placement
from flextui.screens.problems import Problems
from flextui.screens.prompt import Prompt
from flextui.screens.queue import Queue
from flextui.screens.revisions import RevisionList
from flextui.screens.templates import Templates
from flextui.screens.trail import Location
from flextui.screens.widgets.choices import CHOOSING, OFFERED
from flextui.screens.widgets.filterbar import FILTER_KEYS
from flextui.screens.widgets.grid import LIST_KEYS
from flextui.screens.widgets.heatmap import MAP_KEYS
from flextui.screens.widgets.logview import PAGER_KEYS
from flextui.screens.widgets.picture import PICTURE_KEYS
from flextui.screens.widgets.sheet import SHEET_KEYS

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

_PLACES = (
    Fleet, Node, Gpu, Gpus, Jobs, Job, RevisionList, Logs, Events, Placement, Queue,
    Commands, Problems, Editor, FirstRun,
)  # fmt: skip
PLACES: dict[str, type[Place]] = {it.NAME: it for it in _PLACES}
PROMPTS: dict[str, type[Prompt[Any]]] = {
    it.NAME: it
    for it in (Ask, Confirm, Number, Leave, Naming, GoTo, Columns, Help, Apply, Templates)
}
_MAKERS: dict[str, Callable[[Location, FlextuiApp], Place]] = {it.NAME: it for it in _PLACES}


def keys() -> dict[str, tuple[Key, ...]]:
    """All keys of all places, as they are by default."""
    return {
        **{name: it.KEYS for name, it in PLACES.items()},
        "devices": DEVICE_KEYS,
        "processes": PROCESS_KEYS,
        "attempts": ATTEMPT_KEYS,
        "placed": PLACED_KEYS,
        "picture": PICTURE_KEYS,
        "sheet": SHEET_KEYS,
        "offered": OFFERED,
        "choosing": CHOOSING,
        "list": LIST_KEYS,
        "map": MAP_KEYS,
        "filter": FILTER_KEYS,
        "pager": PAGER_KEYS,
        "everywhere": EVERYWHERE,
        **{name: it.KEYS for name, it in PROMPTS.items()},
    }


def chains() -> list[tuple[str, ...]]:
    """The places whose keys can be active together."""
    found = [chain for it in PLACES.values() for chain in it.chains()]
    return [*found, ("filter", "everywhere"), *((name,) for name in PROMPTS)]


def make(location: Location, app: FlextuiApp) -> Place:
    """A new screen for a location."""
    return _MAKERS[location[0]](location, app)


_TABLES: dict[str, tuple[Sequence[Field[Any]], Iterable[str]]] = {
    "fleet": (nodes.FIELDS, nodes.GROUPS),
    "devices": (DEVICES, ()),
    "processes": (gpus.PROCESSES, ()),
    "gpu": (GPU_PROCESSES, ()),
    "gpus": (gpus.DEVICES, gpus.GROUPS),
    "jobs": (jobs.FIELDS, jobs.GROUPS),
    "job": (jobs.ATTEMPTS, ()),
    "events": (events.FIELDS, events.GROUPS),
    "placement": (placing.FIELDS, ()),
    "queue": (queue.FIELDS, queue.GROUPS),
    "revisions": (revisions.FIELDS, ()),
    "commands": (COMMAND_FIELDS, ()),
    "first-run": (MACHINES, ()),
    "problems": (problem_fields.FIELDS, problem_fields.GROUPS),
}


def known() -> Known:
    """What a config may name."""
    return Known(
        themes=tuple(BUILTIN_THEMES),
        keys=keys(),
        chains=chains(),
        columns={name: [it.name for it in fields] for name, (fields, _) in _TABLES.items()},
        groups={name: list(kinds) for name, (_, kinds) in _TABLES.items()},
    )
