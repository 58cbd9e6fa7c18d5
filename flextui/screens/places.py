"""Every place there is: by its name, made for a location, and with all its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flextui.screens.columns import Columns
from flextui.screens.commands import Commands
from flextui.screens.confirm import Confirm
from flextui.screens.editor import Editor
from flextui.screens.events import Events
from flextui.screens.fleet import Fleet
from flextui.screens.goto import GoTo
from flextui.screens.gpus import Gpus
from flextui.screens.help import Help
from flextui.screens.job import Job
from flextui.screens.jobs import Jobs
from flextui.screens.keyed import EVERYWHERE
from flextui.screens.keys import Key
from flextui.screens.leave import Leave
from flextui.screens.logs import Logs
from flextui.screens.node import DEVICE_KEYS, PROCESS_KEYS, Node
from flextui.screens.place import Place
from flextui.screens.prompt import Prompt
from flextui.screens.trail import Location
from flextui.screens.widgets.grid import LIST_KEYS
from flextui.screens.widgets.logview import PAGER_KEYS

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

_PLACES = (Fleet, Node, Gpus, Jobs, Job, Logs, Events, Commands, Editor)
PLACES: dict[str, type[Place]] = {it.NAME: it for it in _PLACES}
PROMPTS: dict[str, type[Prompt[Any]]] = {
    it.NAME: it for it in (Confirm, Leave, GoTo, Columns, Help)
}
_MAKERS: dict[str, Callable[[Location, FlextuiApp], Place]] = {it.NAME: it for it in _PLACES}


def keys() -> dict[str, tuple[Key, ...]]:
    """All keys of all places, as they are by default."""
    return {
        **{name: it.KEYS for name, it in PLACES.items()},
        "devices": DEVICE_KEYS,
        "processes": PROCESS_KEYS,
        "list": LIST_KEYS,
        "pager": PAGER_KEYS,
        "everywhere": EVERYWHERE,
        **{name: it.KEYS for name, it in PROMPTS.items()},
    }


def chains() -> list[tuple[str, ...]]:
    """The places whose keys can be active together."""
    found = [chain for it in PLACES.values() for chain in it.chains()]
    return found + [(name,) for name in PROMPTS]


def make(location: Location, app: FlextuiApp) -> Place:
    """A new screen for a location."""
    return _MAKERS[location[0]](location, app)
