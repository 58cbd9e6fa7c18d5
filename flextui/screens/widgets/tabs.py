"""One line that tells which parts a place has, which of them shows, and the key of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from flextui.screens.widgets.roles import role_style


class Tabs(Widget):
    """A click on a word shows that part."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tabs--key", "tabs--here", "tabs--other"}
    DEFAULT_CSS = """
    Tabs {
        height: 1;
        & .tabs--key { color: $text-primary; }
        & .tabs--here { text-style: bold underline; }
        & .tabs--other { color: $foreground-muted; }
    }
    """

    class Chosen(Message):
        """A part was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._parts: tuple[tuple[str, str], ...] = ()
        self._here = ""

    def show(self, parts: Sequence[tuple[str, str]], here: str) -> None:
        """(name, key) of each part, and the one that shows."""
        if (tuple(parts), here) != (self._parts, self._here):
            self._parts, self._here = tuple(parts), here
            self.refresh()

    def render_line(self, y: int) -> Strip:
        segments = [Segment(" ")]
        for name, key in self._parts:
            if key:
                segments.append(Segment(f"{key} ", self._style("key")))
            segments.append(Segment(name, self._style("here" if name == self._here else "other")))
            segments.append(Segment("   "))
        base = self.rich_style
        return Strip(segments).adjust_cell_length(self.size.width, base).apply_style(base)

    def _style(self, role: str) -> Style:
        return role_style(self, f"tabs--{role}")

    def on_click(self, event: events.Click) -> None:
        at = 1
        for name, key in self._parts:
            end = at + (cell_len(key) + 1 if key else 0) + cell_len(name)
            if at <= event.x < end:
                self.post_message(self.Chosen(name))
            at = end + 3
