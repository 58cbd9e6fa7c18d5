"""The filter of a place: shown whenever it is active, with what it finds."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from flextui.screens.keys import Key

FILTER_KEYS = (
    Key(
        "done",
        "enter",
        "keep the filter, back to the list",
        "leave_filter",
        short="keep it",
        typing=True,
    ),
)


class FilterBar(Horizontal):
    """A line with the pattern; the Input is `#filter`."""

    DEFAULT_CSS = """
    FilterBar { dock: bottom; height: 1; background: $surface; display: none; margin-bottom: 1; }
    FilterBar.open { display: block; }
    FilterBar #slash { width: auto; padding: 0 0 0 1; color: $text-primary; text-style: bold; }
    FilterBar Input, FilterBar Input:focus {
        width: 1fr; height: 1; border: none; padding: 0 1; background: $surface;
    }
    FilterBar #found { width: auto; padding: 0 1; color: $foreground-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._input = Input(placeholder="a regex, !regex for all but these", id="filter")
        self._input.cursor_blink = False
        self._found = Static(id="found", markup=False)

    def compose(self) -> ComposeResult:
        yield Static("filter /", id="slash", markup=False)
        yield self._input
        yield self._found

    @property
    def active(self) -> bool:
        return self.has_class("open")

    @property
    def typing(self) -> bool:
        """Whether it is typed into."""
        return self._input.has_focus

    @property
    def text(self) -> str:
        return self._input.value

    @property
    def found(self) -> str:
        return str(self._found.content)

    @found.setter
    def found(self, text: str) -> None:
        if text != self._found.content:
            self._found.update(text)

    def open(self) -> None:
        """Show it and type into it."""
        self.add_class("open")
        self.screen.set_focus(self._input)

    def restore(self, pattern: str) -> None:
        """Show it with a pattern that is in force already."""
        with self.prevent(Input.Changed):
            self._input.value = pattern
        self.add_class("open")

    def clear(self) -> None:
        self._input.value = ""

    def close(self) -> None:
        """Leave it; it stays in view while it filters."""
        self.set_class(bool(self._input.value), "open")
