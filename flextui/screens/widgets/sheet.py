"""A page of lines to read and scroll, of which only those in view are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from flextui.screens.format import Cell, safe
from flextui.screens.keys import Key
from flextui.screens.widgets.roles import role_style

SHEET_KEYS = (
    Key("down", "j, down", "down", "focused.by(1)"),
    Key("up-line", "k, up", "up", "focused.by(-1)"),
    Key("top", "g, home", "top", "focused.by(-1000000)"),
    Key("bottom", "G, end", "bottom", "focused.by(1000000)"),
    Key("half-down", "ctrl+d", "half a page down", "focused.half(1)"),
    Key("half-up", "ctrl+u", "half a page up", "focused.half(-1)"),
    Key("page-down", "pagedown, space, ctrl+f", "a page down", "focused.half(2)"),
    Key("page-up", "pageup, b", "a page up", "focused.half(-2)"),
)
ROLES = ("ok", "busy", "warn", "bad", "dim", "accent", "bold", "add", "drop", "soft")


class Sheet(ScrollView, can_focus=True):
    """Lines of spans; a line is made when it comes into view, for the width that there is."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"sheet--{role}" for role in ROLES}
    DEFAULT_CSS = """
    Sheet {
        height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: transparent;
        & .sheet--ok { color: $text-success; }
        & .sheet--busy { color: $text-accent; }
        & .sheet--warn { color: $text-warning; }
        & .sheet--bad { color: $text-error; text-style: bold; }
        & .sheet--dim { color: $foreground-muted; }
        & .sheet--accent { color: $text-primary; }
        & .sheet--bold { text-style: bold; }
        & .sheet--add { color: $text-success; }
        & .sheet--drop { color: $text-error; }
        & .sheet--soft { color: $text-success 70%; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._line: Callable[[int], Cell] = lambda _: ()
        self._count = 0
        self._drawn: dict[int, Cell] = {}
        """The lines in view, as they were drawn."""
        self._styles: dict[str, Style] = {}

    def show(self, count: int, line: Callable[[int], Cell]) -> None:
        """So many lines, each made by `line` when it is looked at."""
        top, size = int(self.scroll_offset.y), self.size
        before, self._drawn = self._drawn, {}
        self._line = line
        if count != self._count:
            self._count, self.virtual_size = count, Size(size.width, count)
            self.refresh()
            return
        self._drawn = {at: line(at) for at in range(top, min(count, top + size.height))}
        changed = [at - top for at, cell in self._drawn.items() if cell != before.get(at)]
        if changed:
            self.refresh(*(Region(0, y, size.width, 1) for y in changed))

    def on_resize(self, _event: events.Resize) -> None:
        self._drawn.clear()
        self.virtual_size = Size(self.size.width, self._count)

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            self._styles[role] = role_style(self, f"sheet--{role}") if role else Style()
        return self._styles[role]

    def render_line(self, y: int) -> Strip:
        width, at = self.size.width, int(self.scroll_offset.y) + y
        base = self.rich_style
        if at >= self._count:
            return Strip.blank(width, base)
        if at not in self._drawn:
            self._drawn[at] = self._line(at)
        segments = [Segment(safe(it.text), self._style(it.role)) for it in self._drawn[at]]
        return Strip([Segment(" "), *segments]).adjust_cell_length(width, base).apply_style(base)

    def action_by(self, lines: int) -> None:
        self.scroll_relative(y=lines, animate=False)

    def action_half(self, halves: int) -> None:
        self.action_by(halves * max(1, self.size.height // 2))
