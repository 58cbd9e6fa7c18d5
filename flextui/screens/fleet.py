"""The fleet: every node with its devices as live cells, who runs there, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.screens.fields import nodes
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys

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
        Key("open-node", "l, right", "open the node", "focused.open"),
        Key("drain", "d", "drain, or undrain", short="drain", command="drain NODE", acts=True),
        Key("cordon", "c", "cordon, or uncordon", short="cordon", command="cordon NODE", acts=True),
        Key("group", "t", "group by state, model"),
        Key("yank", "y", "yank the name"),
        *sort_keys(nodes.FIELDS),
    )
    OPENS = "node"
    HELP = "Every node with its GPUs. The fill of a cell is the memory in use."
    LEGEND = SIGNS

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "fleet")
        self._table = Table(nodes.FIELDS, groups=nodes.GROUPS, layout=app.layout("fleet"))
        self._grid = Grid(self._table, empty="waiting for the core …", id="nodes")

    def content(self) -> ComposeResult:
        yield self._grid

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        self._table.sync(view.nodes, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if view.nodes else None)

    @on(Grid.Opened, "#nodes")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_node(event.key)

    def action_drain(self) -> None:
        self.app.act.drain(self._grid.chosen)

    def action_cordon(self) -> None:
        self.app.act.cordon(self._grid.chosen)

    def action_yank(self) -> None:
        self.app.yank("\n".join(self._grid.chosen))
