"""Words and rows of prompts that a click on does what a key does."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Static

from flextui.screens.widgets.lines import press


class Press(Static):
    """Words about a key."""

    DEFAULT_CSS = "Press { width: auto; margin-right: 4; }"

    def __init__(self, text: str, chord: str) -> None:
        super().__init__(text, markup=False)
        self._chord = chord

    def on_click(self, event: events.Click) -> None:
        """The same as the key."""
        event.stop()
        for key in press(self._chord):
            self.app.post_message(key)


class Rows(Static):
    """A list of choices, a row each."""

    class Picked(Message):
        """A click on a row, from 0."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    def on_click(self, event: events.Click) -> None:
        """Which row it was."""
        event.stop()
        self.post_message(self.Picked(event.y))
