"""The fleet: every node with its devices as live cells, who runs there, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.screens.fields import heat, nodes
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.footnote import Footnote
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.heatmap import HeatMap

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

SIGNS = (
    "·▁▂▃▄▅▆▇█  a GPU: the height is its memory in use",
    "▒ held by a process that is no job of flextui   ⊘ cordoned   ✗ lost",
    "● ready or running   ◌ pending   ✓ succeeded   ✗ failed, lost   ■ stopped   ? unknown",
)


class Fleet(Place):
    """The place one starts in."""

    NAME = "fleet"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("zoom", "z", "list, or map of all nodes on one page", short="map"),
        Key("drain", "d", "drain, or undrain", short="drain", command="drain NODE", acts=True),
        Key("cordon", "c", "cordon, or uncordon", short="cordon", command="cordon NODE", acts=True),
        Key("shell", "s", "a shell on the node", short="shell", command="shell NODE"),
        Key("group", "t", "group by state, model"),
        Key("yank", "y", "yank the name"),
        *sort_keys(nodes.FIELDS),
    )
    OPENS = "node"
    USES = ()
    KINDS = ("list", "map")
    HELP = (
        "Every node with its GPUs: as a list, or as a map that fits two hundred of them on a page."
    )
    LEGEND = (*SIGNS, "on the map: bright is busy, pale is idle though a job holds it")
    DEFAULT_CSS = """
    Fleet .hidden { display: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "fleet")
        self._table = Table(nodes.FIELDS, groups=nodes.GROUPS, layout=app.layout("fleet"))
        self._grid = Grid(self._table, empty="waiting for the core …", id="nodes")
        self._map = HeatMap(self._table, self._grid.selection, id="map")
        self._about = Footnote()
        self._zoom(app.memory.get(location, {}).get("map", "") != "")

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._map
        yield self._about

    @property
    def mapped(self) -> bool:
        """Whether the map shows, and not the list."""
        return not self._map.has_class("hidden")

    @property
    def chain(self) -> tuple[str, ...]:
        inner = super().chain
        if inner[0] == "filter":
            return inner
        return (self.NAME, "map" if self.mapped else "list", "everywhere")

    def home_focus(self) -> Grid | HeatMap:
        return self._map if self.mapped else self._grid

    def remember_back(self) -> None:
        super().remember_back()
        if key := self.app.memory.get(self.location, {}).get("cursor nodes"):
            self.home_focus().select(key)

    def remember(self) -> None:
        super().remember()
        memory = self.app.memory[self.location]
        memory["map"] = "map" if self.mapped else ""
        memory["cursor nodes"] = self.home_focus().cursor_key or ""

    def hints(self) -> list[tuple[str, str]]:
        named = {"map": "list" if self.mapped else "map", "memory …": f"{self._map.showing} …"}
        return [(chord, named.get(word, word)) for chord, word in super().hints()]

    def show_view(self, view: View) -> None:
        self._table.sync(view.nodes, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if view.nodes else None)
        if self.mapped:
            self._map.show()
        self._tell_about()

    @on(HeatMap.Moved)
    @on(Grid.Moved, "#nodes")
    def _tell_about(self) -> None:
        node = self._table.doc(self.home_focus().cursor_key or "")
        self._about.say(heat.about(node) if node else "")

    def action_zoom(self) -> None:
        """From the list to the map and back, on the same node."""
        key = self.home_focus().cursor_key
        self._zoom(not self.mapped)
        if key is not None:
            self.home_focus().select(key)
        self.refresh_view()
        self.take_focus()

    def _zoom(self, mapped: bool) -> None:
        self._grid.set_class(mapped, "hidden")
        self._map.set_class(not mapped, "hidden")

    @on(HeatMap.Opened)
    def _open_tile(self, event: HeatMap.Opened) -> None:
        self.app.open_node(event.key)

    @on(Grid.Opened, "#nodes")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_node(event.key)

    def action_drain(self) -> None:
        self.app.act.drain(self.home_focus().chosen)

    def action_cordon(self) -> None:
        self.app.act.cordon(self.home_focus().chosen)

    def action_shell(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.act.shell(key)

    def action_yank(self) -> None:
        self.app.yank("\n".join(self.home_focus().chosen))
