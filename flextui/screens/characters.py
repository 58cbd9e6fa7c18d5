"""Pure: how many cells characters take, on any terminal.

What joins characters (ZWJ, variation selectors, skin tones, keycaps) makes some terminals draw them
in fewer cells and others not; what turns the direction of text moves what stands beside it. Neither
reaches the terminal, and what is left is as wide everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

JOINING = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
"""Characters without a width of their own that change how those beside them are drawn."""
ODD = re.compile(f"[\x00-\x1f\x7f-\x9f]|{JOINING.pattern}")
"""Those, and control characters."""


def cells(text: str) -> Iterator[tuple[str, int]]:
    """What is drawn, character by character with what combines with it, and its cells. Together
    they take as many as Rich counts for the text, which knows of joined characters."""
    if ODD.search(text) is None:
        for character in text:
            yield character, cell_len(character)
        return
    before = 0
    for end in range(1, len(text) + 1):
        character, width = text[end - 1], cell_len(text[:end])
        own = 0 if ODD.match(character) else cell_len(character)
        if own == width - before and not ODD.match(character):
            yield character, own
        else:
            yield from ((" ", 1) for _ in range(width - before))
        before = width
