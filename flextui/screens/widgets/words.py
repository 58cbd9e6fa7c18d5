"""A few lines of text that change all the time, such as the facts above a list.

Textual lays the whole screen out anew whenever a `Static` is given another text. With hundreds of
cells on the screen that takes longer than all the rest of a repaint, and the text is mostly as
large as it was.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.widgets import Static


class Words(Static):
    """A text without markup. It is laid out anew only where it may need another size."""

    def __init__(self, *, id: str, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._said = ""

    def say(self, text: str) -> None:
        """Show this."""
        if text == self._said:
            return
        as_large = self._lines(text) == self._lines(self._said) is not None
        self._said = text
        self.update(text, layout=not as_large)

    def _lines(self, text: str) -> int | None:
        """How many lines it takes; None where some may have to be broken."""
        lines, width = text.split("\n"), self.content_size.width
        return len(lines) if all(cell_len(line) <= width for line in lines) else None
