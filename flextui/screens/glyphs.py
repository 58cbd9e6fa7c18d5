"""The last step before the terminal: nothing but ASCII, where it can't draw more."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from flextui.screens.format import to_ascii


@lru_cache(maxsize=8192)
def plain(text: str) -> str:
    """The text in ASCII, as many cells wide; what has no likeness is `?`."""
    if text.isascii():
        return text
    out = []
    for character in to_ascii(text):
        width = 1 if character.isascii() else cell_len(character)
        out.append(character if character.isascii() else "?" * width)
    return "".join(out)


class AsciiFilter(LineFilter):
    """Every widget goes through it, scroll bars and borders too."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments in ASCII."""
        return [Segment(plain(text), style, control) for text, style, control in segments]
