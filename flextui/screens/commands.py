"""The command log: the command-line equivalent of each thing done in the terminal, to yank."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.screens.format import cell
from flextui.screens.journal import Entry
from flextui.screens.keys import Key
from flextui.screens.listing import Column, Field
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


def _time(entry: Entry) -> str:
    return datetime.fromtimestamp(entry.at).strftime("%H:%M:%S")


def _command(entry: Entry) -> str:
    first, _, rest = entry.line.shell().partition("\n")
    return f"{first} … {rest.count(chr(10))} lines" if rest else first


FIELDS: tuple[Field[Entry], ...] = (
    Field(Column("time", 8, 8), "t", lambda e, _: cell(_time(e), "dim"), lambda e: e.number,
          large_first=True),
    Field(Column("outcome", 8, 40), "u", lambda e, _: cell(e.outcome, "bad" if e.bad else "dim"),
          lambda e: e.outcome),
    Field(Column("command", 20, 300), "c", lambda e, _: cell(_command(e)), _command),
)  # fmt: skip


class Commands(Place):
    """Newest first."""

    NAME = "commands"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("yank", "y", "yank the command", short="yank"),
        *sort_keys(FIELDS),
    )
    OPENS = ""
    HELP = (
        "Everything done in this terminal as the command that does the same. Times are local. "
        "Select several to yank them as a script."
    )

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "commands")
        layout = app.layout("commands")
        self._table = Table(FIELDS, order=lambda it: -it.number, layout=layout)
        self._grid = Grid(self._table, empty="nothing was done yet", id="commands")

    waiting = ""
    """What it lists is known without a core."""

    def content(self) -> ComposeResult:
        yield self._grid

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        self._table.sync(self.app.journal.entries, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if self.pattern else None)

    @on(Grid.Opened, "#commands")
    def action_yank(self) -> None:
        chosen = sorted((it for key in self._grid.chosen if (it := self._table.doc(key))),
                        key=lambda it: it.number)  # fmt: skip
        before = self.app.link_words
        lines = [it.line.shell(before) for it in chosen]
        what = lines[0].splitlines()[0] if len(lines) == 1 else f"{len(lines)} commands"
        self.app.yank("\n".join(lines), what)
