"""The small list under (or over) the cursor: what may be written there. It never lies on the line
that is being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.geometry import Offset, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from flextui.screens.editing.suggest import Choice
from flextui.screens.format import safe
from flextui.screens.keys import Key
from flextui.screens.widgets.roles import role_style

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

HEIGHT = 8

OFFERED = (
    Key("take", "tab", "write what is offered first", "take", typing=True),
    Key("step-in", "ctrl+n", "into the list", "offer(1)", typing=True),
    Key("put-away", "escape", "put the list away", "put_away", typing=True),
)
"""A list of words stands beside the cursor, and one goes on writing."""
CHOOSING = (
    Key("take", "enter, tab", "write it", "take", typing=True),
    Key("next", "down, ctrl+n", "the one below", "offer(1)", typing=True),
    Key("previous", "up, ctrl+p", "the one above", "offer(-1)", typing=True),
    Key("put-away", "escape", "put the list away", "put_away", typing=True),
)
"""One has stepped into it."""


class Choices(Widget):
    """Shown by `offer`, put away by `close`."""

    app: FlextuiApp
    COMPONENT_CLASSES = {"choices--at", "choices--note"}
    DEFAULT_CSS = """
    Choices {
        layer: popup; position: absolute; display: none; background: $panel; height: auto;
        & .choices--at { background: $primary; color: $text; text-style: bold; }
        & .choices--note { color: $foreground-muted; }
    }
    Choices.open { display: block; }
    Choices:ansi .choices--at { text-style: reverse; background: ansi_default; }
    """

    class Picked(Message):
        """A click on one of them, which is the chosen one now."""

    def __init__(self) -> None:
        super().__init__(id="choices")
        self.found: list[Choice] = []
        self.at = -1
        """The one that Enter would take; -1: one hasn't stepped into the list."""

    def on_click(self, event: events.Click) -> None:
        """Take the one that was clicked."""
        event.stop()
        index = self._first + event.y
        if index < len(self.found):
            self.at = index
            self.post_message(self.Picked())

    @property
    def _first(self) -> int:
        height = self.size.height
        return max(0, min(self.at - height // 2, len(self.found) - height))

    @property
    def open(self) -> bool:
        return bool(self.found)

    @property
    def entered(self) -> bool:
        """Whether the arrow keys are the list's."""
        return self.open and self.at >= 0

    @property
    def chosen(self) -> Choice | None:
        """What Tab takes."""
        return self.found[max(self.at, 0)] if self.found else None

    def offer(self, found: Sequence[Choice], cursor: Offset, screen: Size, *, enter: bool) -> None:
        """Show these beside the cursor; with `enter`, the first is chosen already."""
        kept = self.chosen.word if self.entered and self.chosen else None
        self.found = list(found)
        if not self.found:
            self.close()
            return
        words = [it.word for it in self.found]
        stay = words.index(kept) if kept in words else 0
        self.at = stay if enter or kept is not None else -1
        self._place(cursor, screen)
        self.set_class(True, "open")
        self.refresh()

    def _place(self, cursor: Offset, screen: Size) -> None:
        width = min(max(self._width(), 20), screen.width - 2, 76)
        below, above = screen.height - 2 - (cursor.y + 1), cursor.y - 1
        height = min(HEIGHT, len(self.found))
        if below >= height or below >= above:
            height, y = max(1, min(height, below)), cursor.y + 1
        else:
            height = max(1, min(height, above))
            y = cursor.y - height
        x = max(0, min(cursor.x, screen.width - width - 1))
        self.styles.width, self.styles.height = width, height
        self.styles.offset = (x, y)

    def _width(self) -> int:
        return self._column() + max(cell_len(it.note) for it in self.found) + 3

    def _column(self) -> int:
        """Where the notes begin."""
        return min(30, max(cell_len(it.word) for it in self.found)) + 3

    def close(self) -> None:
        self.found, self.at = [], -1
        self.set_class(False, "open")

    def step(self, by: int) -> None:
        """Go through the list; from outside to its first or last."""
        if self.at < 0:
            self.at = 0 if by > 0 else len(self.found) - 1
        else:
            self.at = (self.at + by) % len(self.found)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        index = self._first + y
        if index >= len(self.found):
            return Strip.blank(width, self.rich_style)
        choice = self.found[index]
        base = self.rich_style
        note = base + role_style(self, "choices--note")
        if index == self.at:
            base = note = base + self.get_component_rich_style("choices--at", partial=True)
        column = self._column()
        more = "↓" if y == height - 1 and index + 1 < len(self.found) else " "
        segments = [
            Segment(" " + set_cell_size(safe(choice.word), column - 1), base),
            Segment(set_cell_size(safe(choice.note), max(0, width - column - 2)), note),
            Segment(f"{more} ", note),
        ]
        return Strip(segments).adjust_cell_length(width, base)
