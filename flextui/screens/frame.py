"""What the terminal shows, cell by cell, so that only what changed is sent to it.

Textual sends every line of a widget that was refreshed. Over a slow line that is most of what
there is to wait for, and a fleet changes a few digits a second. A `Frame` remembers what was sent
and turns Textual's updates into the cells that differ.

Those updates are Textual's own affair, which another version may have otherwise. What isn't as it
is known here is sent as Textual would send it, and from then on so is everything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual.strip import Strip

from flextui.screens import characters

try:
    from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
except ImportError:  # another Textual: nothing of what it sends is one of these

    class CompositorUpdate:  # type: ignore[no-redef]
        """Stands for what there isn't."""

    class LayoutUpdate(CompositorUpdate):  # type: ignore[no-redef]
        """Stands for what there isn't."""

    class ChopsUpdate(CompositorUpdate):  # type: ignore[no-redef]
        """Stands for what there isn't."""


__all__ = ["Cells", "CompositorUpdate", "Frame"]

log = logging.getLogger(__name__)

CellStyle = tuple[str, Style | None]
_GAP = 4
"""Equal cells between two changes that cost less than moving the cursor over them."""
_WIDE = ""
"""The second cell of a wide character."""


class Cells(CompositorUpdate):
    """Runs of cells: (column, line, cells)."""

    def __init__(self, runs: list[tuple[int, int, list[CellStyle]]]) -> None:
        self.runs = runs

    def render_segments(self, console: Console) -> str:
        """The escape sequences that paint them. A style is said once for all runs that have it."""
        system = console._color_system or ColorSystem.TRUECOLOR
        parts: list[str] = []
        now = ""
        for x, y, cells in self.runs:
            parts.append(f"\x1b[{y + 1};{x + 1}H")
            for style, group in groupby(cells, key=lambda cell: cell[1]):
                codes = "" if style is None else Strip.render_ansi(style, system)
                if codes != now:
                    parts.append(f"\x1b[0;{codes}m" if now and codes else f"\x1b[{codes or 0}m")
                    now = codes
                parts.extend(character for character, _ in group)
        return "".join([*parts, "\x1b[0m" if now else ""])


class Frame:
    """The terminal's cells as they were last sent; `forget` when something else drew there."""

    def __init__(self) -> None:
        self.works = True
        """Textual's updates are as they are known here."""
        self._size = (0, 0)
        self._lines: dict[int, list[CellStyle | None]] = {}

    def forget(self) -> None:
        """Nothing is known of what the terminal shows: the next update is sent whole."""
        self._lines.clear()

    def changes(self, update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate | None:
        """The part of an update that the terminal doesn't show yet; None if there is none."""
        if not self.works:
            return update
        try:
            return self._changes(update, size)
        except Exception:  # whatever it is, the terminal is drawn
            log.exception("Textual draws otherwise than is known here: updates are sent whole")
            self.works = False
            return update

    def _changes(self, update: CompositorUpdate, size: tuple[int, int]) -> CompositorUpdate | None:
        if size != self._size:
            self._size = size
            self.forget()
        pieces = _pieces(update)
        if pieces is None:
            self.forget()
            return update
        runs = [run for x, y, strip in pieces for run in self._differences(x, y, strip)]
        return Cells(runs) if runs else None

    def _differences(
        self, x: int, y: int, strip: Strip
    ) -> Iterator[tuple[int, int, list[CellStyle]]]:
        line = self._lines.setdefault(y, [None] * self._size[0])
        cells = _cells(strip)[: max(0, len(line) - x)]
        if line[x : x + len(cells)] == cells:
            return
        for start, end in _runs(line, cells, x):
            yield x + start, y, cells[start:end]
        line[x : x + len(cells)] = cells


def _pieces(update: CompositorUpdate) -> Iterable[tuple[int, int, Strip]] | None:
    """What an update draws: (column, line, strip); None for an update of another kind."""
    if isinstance(update, LayoutUpdate):
        left = update.region.x
        return [
            (left, y, Strip.join(strips)) for y, strips in enumerate(update.strips, update.region.y)
        ]
    if isinstance(update, ChopsUpdate):
        return list(_chopped(update))
    return None


def _chopped(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The parts of the lines that were drawn anew. What else is in a line may be the empty ground
    under widgets that weren't asked."""
    for y, begin, end in update.spans:
        for x, strip in update.chops[y].items():
            if strip is None or x >= end or x + strip.cell_length <= begin:
                continue
            start = max(x, begin)
            yield start, y, strip.crop(start - x, min(end, x + strip.cell_length) - x)


def _cells(strip: Strip) -> list[CellStyle]:
    cells: list[CellStyle] = []
    for text, style, control in strip:
        if control:
            continue
        if text.isascii() and text.isprintable():
            cells.extend([(character, style) for character in text])
            continue
        for character, width in characters.cells(text):
            if width == 0 and cells:  # combines with the one before
                before = cells[-1][0] or (cells[-2][0] if len(cells) > 1 else "")
                at = -1 if cells[-1][0] else -2
                cells[at] = (before + character, cells[at][1])
            elif width:
                cells.append((character, style))
                cells.extend([(_WIDE, style)] * (width - 1))
    return cells


def _runs(old: list[CellStyle | None], new: list[CellStyle], x: int) -> list[tuple[int, int]]:
    """Where cells differ, joined over small gaps, never in the middle of a wide character."""
    runs: list[tuple[int, int]] = []
    for at, cell in enumerate(new):
        if old[x + at] == cell:
            continue
        start = at
        while start and new[start][0] == _WIDE:
            start -= 1
        if runs and start - runs[-1][1] <= _GAP:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((start, at + 1))
    return [(start, _whole(new, end)) for start, end in runs]


def _whole(cells: list[CellStyle], end: int) -> int:
    while end < len(cells) and cells[end][0] == _WIDE:
        end += 1
    return end
