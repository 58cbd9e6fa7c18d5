"""All GPUs of all nodes in one table: what each does, how hot it is, and who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.core.model.docs import NodeDoc
from flextui.screens.fields import gpus
from flextui.screens.fields.gpus import Device
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.footnote import Footnote
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


class Gpus(Place):
    """One line a device."""

    NAME = "gpus"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("node", "l, right", "open its node", "node", short="node"),
        Key("cordon", "c", "cordon the GPU, or uncordon", short="cordon",
            command="cordon NODE:GPU", acts=True),
        Key("group", "t", "group by node, model, state", short="group"),
        Key("yank", "y", "yank its UUID", short="yank UUID"),
        *sort_keys(gpus.DEVICES),
    )  # fmt: skip
    OPENS = "GPU"
    HELP = (
        "Every GPU of the fleet, with more columns the wider the window is. `slowed by` is what "
        "the driver says keeps its clock down. n/a: the driver doesn't tell."
    )

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "gpus")
        self._table = Table(
            gpus.DEVICES, groups=gpus.GROUPS, summary=gpus.summary, layout=app.layout("gpus")
        )
        self._grid = Grid(self._table, empty="no GPUs here", id="gpus")
        self._made_of: dict[str, NodeDoc] = {}
        self._devices: dict[str, dict[str, Device]] = {}

        self._about = Footnote()

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._about

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        for name, node in view.nodes.items():
            if self._made_of.get(name) is not node:
                self._devices[name] = gpus.devices([node])
        self._made_of = dict(view.nodes)
        found = {key: it for name in view.nodes for key, it in self._devices[name].items()}
        self._table.sync(found, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if found else None)
        self._tell_about()

    @on(Grid.Moved, "#gpus")
    def _tell_about(self) -> None:
        it = self._table.doc(self._grid.cursor_key or "")
        self._about.say(gpus.about(it) if it else "")

    @on(Grid.Opened, "#gpus")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_gpu(*event.key.rsplit(":", 1))

    def action_node(self) -> None:
        if key := self._grid.cursor_key:
            self.app.open_node(key.rpartition(":")[0])

    def action_cordon(self) -> None:
        self.app.act.cordon(self._grid.chosen)

    def action_yank(self) -> None:
        chosen = [it for key in self._grid.chosen if (it := self._table.doc(key))]
        self.app.yank("\n".join(it.gpu["uuid"] for it in chosen))
