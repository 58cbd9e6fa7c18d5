"""How a line of a log is drawn: when it came, where from, how bad it is, what was found in it."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from flextui.core.logbook import levels, times
from flextui.core.logbook.lines import Line
from flextui.core.model.terminal import neutralise
from flextui.screens.characters import JOINING

WIDEST_ORIGIN = 24
BREAK = "─"
ORIGINS = 6
"""Colours that tell origins apart."""
QUICK_S = 0.05
"""Processor time that a pattern gets for the lines in view; over it they aren't marked."""
_SIGNS = {"error": "✗", "warning": "▴"}


class TooSlow(Exception):
    """The pattern takes too long here."""


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Ends what a pattern does after so much processor time of this process. Raises `TooSlow`.

    Python looks for signals while it matches, in the main thread; elsewhere there is no bound.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@dataclass(slots=True)
class Manner:
    """How lines are drawn, as the reader chose."""

    stamps: str = "local"
    origins: bool = True
    wrap: bool = False
    pretty: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    """Attempt → what tells it from the others."""
    colours: Mapping[str, int] = field(default_factory=dict)
    """Attempt → the number of its colour: one for a task, whatever its attempt."""
    several_streams: bool = True
    pattern: re.Pattern[str] | None = None
    marks: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """Lines that are marked, and with which letter."""
    shift: int = 0
    """Columns by which lines are moved to the left."""

    @property
    def widest(self) -> int:
        """Cells of the widest origin."""
        return min(WIDEST_ORIGIN, max(map(cell_len, self.labels.values()), default=0))


@lru_cache(maxsize=4096)
def styled(text: str) -> Text:
    """The line with its own SGR colours, and nothing that could drive the terminal."""
    text = JOINING.sub("", neutralise(text.expandtabs(8)))
    return Text.from_ansi(text) if "\x1b" in text else Text(text)


class LogPaint:
    """Rows of cells for lines. `styles`: role → style of the theme at hand."""

    def __init__(self, manner: Manner, console: Console, styles: Mapping[str, Style]) -> None:
        self.manner = manner
        self._console = console
        self._styles = styles

    def rows(self, line: Line, width: int, now: float) -> list[Strip]:
        """A line as one row, or several when it is wrapped or laid out."""
        head = self._head(line, now)
        used = sum(cell_len(it.text) for it in head)
        room = max(1, width - used)
        texts = self._texts(line)
        bodies: list[Strip] = []
        for text in texts:
            bodies += self._body(line, text, room)
        rows = [Strip([*head, *bodies[0]])]
        blank = Segment(" " * used)
        rows += [Strip([blank, *body]) for body in bodies[1:]]
        return [row.adjust_cell_length(width) for row in rows]

    def left_out(self, width: int) -> Strip:
        """A row that says that lines are left out between those above and below."""
        return Strip([Segment(BREAK * width, self._styles["note"])])

    def _head(self, line: Line, now: float) -> list[Segment]:
        manner = self.manner
        bad = levels.level(line.text) if line.stream != "note" else ""
        mark = manner.marks.get(line.key, "")
        sign = mark or _SIGNS.get(bad, " ")
        style = self._styles["mark" if mark else bad or "note"]
        head = [Segment(sign, style)]
        if width := times.WIDTHS[manner.stamps]:
            head.append(
                Segment(times.stamp(line.at, manner.stamps, now).ljust(width) + " ",
                        self._styles["stamp"])
            )  # fmt: skip
        if manner.origins and (widest := manner.widest):
            label = Text(manner.labels.get(line.attempt, ""))
            label.truncate(widest, overflow="ellipsis", pad=True)
            colour = self._styles[f"origin{manner.colours.get(line.attempt, 0) % ORIGINS}"]
            head.append(Segment(label.plain, colour))
            err = " e " if line.stream == "err" else "   "
            head.append(Segment(err if manner.several_streams else " ", self._styles["err"]))
        return head

    def _texts(self, line: Line) -> list[str]:
        laid = levels.pretty(line.text) if self.manner.pretty else None
        return laid or [line.text]

    def _body(self, line: Line, raw: str, room: int) -> list[Strip]:
        if line.stream == "note":
            return [Strip([Segment(raw, self._styles["note"])]).crop(0, room)]
        text = styled(raw).copy()
        if bad := levels.level(raw):
            text.stylize_before(self._styles[bad])
        if self.manner.pattern is not None:
            with suppress(TooSlow), bounded(QUICK_S):
                text.highlight_regex(self.manner.pattern, self._styles["hit"])
        strip = Strip([it for it in text.render(self._console) if it.text != "\n"])
        size = strip.cell_length
        if self.manner.wrap:
            if size <= room:
                return [strip]
            return list(strip.divide([*range(room, size, room), size]))
        if size - self.manner.shift <= room and not self.manner.shift:
            return [strip]
        cut = strip.crop(self.manner.shift, self.manner.shift + room)
        if size - self.manner.shift > room:
            cut = Strip.join([cut.crop(0, room - 1), Strip([Segment("▸", self._styles["note"])])])
        return [cut]
