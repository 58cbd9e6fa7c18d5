"""The fleet: every node with its devices as live cells, who runs there, and what is wrong."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from flextui.screens import rows
from flextui.screens.place import Place
from flextui.screens.view import View
from flextui.screens.widgets.grid import Column, Grid

COLUMNS = (
    Column("node", least=8, most=20),
    Column("state", least=8, most=14),
    Column("gpus", least=6, most=40),
    Column("mem", least=9, right=True, drop=2),
    Column("cpu", least=6, right=True, drop=3),
    Column("jobs", least=8, most=44, drop=1),
    Column("note", least=16, most=120),
)


class Fleet(Place):
    """The place one starts in."""

    KEYS = (
        "⏎ node  d drain  c cordon  n new job  2 jobs  3 events  / filter  : go to  ? help  q quit"
    )
    HELP = "Every node with its GPUs. The fill of a cell is the memory in use."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "drain", "drain or undrain"),
        Binding("c", "cordon", "cordon or uncordon"),
        Binding("y", "yank", "yank the name"),
    ]

    def __init__(self) -> None:
        super().__init__("fleet")

    def content(self) -> ComposeResult:
        yield Grid(COLUMNS, empty="waiting for the core …", id="nodes")

    def home_focus(self) -> Grid:
        return self.query_one("#nodes", Grid)

    def show_view(self, view: View) -> None:
        shown = rows.keep(rows.node_rows(view.nodes.values()), self.pattern)
        empty = "nothing matches the filter" if view.nodes else None
        self.home_focus().show(shown, empty)

    @on(Grid.Opened, "#nodes")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_node(event.key)

    async def action_drain(self) -> None:
        if name := self.home_focus().cursor_key:
            self.app.act.drain(name)

    async def action_cordon(self) -> None:
        if name := self.home_focus().cursor_key:
            self.app.act.cordon(name, None)

    def action_yank(self) -> None:
        self.app.yank(self.home_focus().cursor_key)
