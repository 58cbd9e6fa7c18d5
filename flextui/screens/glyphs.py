"""The last step before the terminal: nothing but ASCII, where it can't draw more."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from flextui.screens.characters import cells
from flextui.screens.format import to_ascii


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """The text in ASCII, as many cells wide; what has no likeness is `?`."""
    if text.isascii():
        return text
    found = cells(to_ascii(text))
    return "".join(it if it.isascii() else "?" * width for it, width in found)


class AsciiFilter(LineFilter):
    """Every widget goes through it, scroll bars and borders too."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments in ASCII."""
        return [Segment(plain(text), style, control) for text, style, control in segments]
