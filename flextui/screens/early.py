"""What the first paint needs of all places: the fleet and its keys.

The others take as long to import as Textual itself, so they come when the fleet is on the screen.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES

from flextui.screens.config import Known
from flextui.screens.fields import nodes
from flextui.screens.fleet import Fleet
from flextui.screens.keyed import EVERYWHERE
from flextui.screens.keys import Key
from flextui.screens.widgets.filterbar import FILTER_KEYS
from flextui.screens.widgets.grid import LIST_KEYS
from flextui.screens.widgets.heatmap import MAP_KEYS

KEYS: dict[str, tuple[Key, ...]] = {
    Fleet.NAME: Fleet.KEYS,
    "list": LIST_KEYS,
    "map": MAP_KEYS,
    "filter": FILTER_KEYS,
    "everywhere": EVERYWHERE,
}
"""The keys that work in the fleet, as `places.keys` has them."""


def known() -> Known:
    """What of a config matters to the first paint."""
    return Known(
        themes=tuple(BUILTIN_THEMES),
        keys=KEYS,
        chains=(),
        columns={Fleet.NAME: [it.name for it in nodes.FIELDS]},
        groups={Fleet.NAME: list(nodes.GROUPS)},
    )


REST = "flextui.screens.places"
"""The module that knows all places."""
