"""Which columns a list shows, and in which order."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt
from flextui.screens.table import Table
from flextui.screens.widgets.press import Rows


class Columns(Prompt[tuple[str, ...] | None]):
    """Answers the names in order; None leaves them as they were."""

    NAME = "columns"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("down", "j, down", "down", "move(1)"),
        Key("up", "k, up", "up", "move(-1)"),
        Key("toggle", "space", "show or hide", "pick"),
        Key("later", "J, shift+down", "move the column to the right", "shift(1)"),
        Key("earlier", "K, shift+up", "move the column to the left", "shift(-1)"),
        Key("usual", "u", "the usual columns"),
        Key("done", "enter, f", "take these"),
        Key("cancel", "escape, q", "leave them as they were"),
    )
    DEFAULT_CSS = """
    Columns > VerticalScroll {
        width: 44; max-width: 96%; height: auto; max-height: 96%; background: $panel; padding: 1 2;
    }
    Columns:ansi > VerticalScroll { border: solid $foreground-muted; }
    """

    def __init__(self, table: Table[Any]) -> None:
        super().__init__()
        self._usual = [it.name for it in table.usual()]
        chosen = [it.name for it in table.chosen()]
        self._names = chosen + [it.name for it in table.fields if it.name not in chosen]
        self._on = set(chosen)
        self._at = 0
        self._list = Rows(id="names", markup=False)

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield self._list

    def on_mount(self) -> None:
        super().on_mount()
        self._draw()

    def _draw(self) -> None:
        lines = ["columns: Space shows or hides, J K move", ""]
        for index, name in enumerate(self._names):
            cursor = "▸" if index == self._at else " "
            lines.append(f"{cursor} [{'x' if name in self._on else ' '}] {name}")
        self._list.update("\n".join([*lines, "", "Enter takes them, u the usual ones, Esc leaves"]))
        self.call_after_refresh(self.reveal, 2 + self._at if self._at else 0)

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        if 2 <= event.row < 2 + len(self._names):
            self._at = event.row - 2
            self.action_pick()

    def action_move(self, by: int) -> None:
        self._at = (self._at + by) % len(self._names)
        self._draw()

    def action_pick(self) -> None:
        self._on ^= {self._names[self._at]}
        self._draw()

    def action_shift(self, by: int) -> None:
        to = self._at + by
        if 0 <= to < len(self._names):
            names = self._names
            names[self._at], names[to] = names[to], names[self._at]
            self._at = to
            self._draw()

    def action_usual(self) -> None:
        self._on = set(self._usual)
        self._names = self._usual + [name for name in self._names if name not in self._on]
        self._draw()

    def action_done(self) -> None:
        self.dismiss(tuple(name for name in self._names if name in self._on) or None)

    def action_cancel(self) -> None:
        self.dismiss(None)
