"""The line below a list: all of what the row under the cursor could say only in part."""

from __future__ import annotations

from typing import ClassVar

from textual.widgets import Static

from flextui.screens.format import safe

LOW = 12
"""In a window of fewer lines each of them is the list's."""


class Footnote(Static):
    """One line; it is there always, so that nothing jumps."""

    DEFAULT_CSS: ClassVar[str] = """
    Footnote {
        height: 1; padding: 0 1; color: $foreground-muted; text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, *, id: str = "about") -> None:
        super().__init__(id=id, markup=False)

    def say(self, text: str) -> None:
        """Show this; drawn only where it is new."""
        self.display = self.app.size.height >= LOW
        text = safe(text)
        if text != self.content:
            self.update(text, layout=False)
