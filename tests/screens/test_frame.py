"""What is sent to the terminal: the cells that changed, and after them it shows what it should."""

from __future__ import annotations

import io
import re
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from flextui.screens.frame import Frame
from flextui.screens.glyphs import AsciiFilter, plain

WIDTH, HEIGHT = 12, 3
OURS = "●◔◌✓✗■↻◑▒⊘█▇▆▅▄▃▂▁·▸×…─│▏▎▍▌▋▊▉–→←↑↓◂▾▴°"
CONSOLE = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor")
STYLES = [Style.parse(it) for it in ("red", "bold on blue", "none")]


class Screen:
    """A terminal that understands moves, SGR and characters; wide ones take two cells."""

    def __init__(self) -> None:
        self.cells = [[" "] * WIDTH for _ in range(HEIGHT)]
        self.styles = [[""] * WIDTH for _ in range(HEIGHT)]

    def feed(self, data: str) -> None:
        x = y = 0
        style = ""
        for move, sgr, character in re.findall(r"\x1b\[(\d+;\d+)H|\x1b\[([0-9;]*)m|(.)", data):
            if move:
                row, column = map(int, move.split(";"))
                y, x = row - 1, column - 1
            elif character:
                width = cell_len(character)
                if width == 0:
                    before = x - 1 if self.cells[y][x - 1] else x - 2
                    self.cells[y][before] += character
                    continue
                self.cells[y][x : x + width] = [character] + [""] * (width - 1)
                self.styles[y][x : x + width] = [style] * width
                x += width
            else:
                style = "" if sgr in ("", "0") else sgr.removeprefix("0;")


line = st.lists(
    st.tuples(st.text(alphabet="ab ·█漢é\u0301", max_size=6), st.sampled_from(STYLES)), max_size=5
)
frames = st.lists(line, min_size=HEIGHT, max_size=HEIGHT)


def strip(parts: list[tuple[str, Style]]) -> Strip:
    segments = [Segment("x")] + [Segment(text, style) for text, style in parts]
    return Strip(segments).adjust_cell_length(WIDTH, STYLES[2])


def whole(lines: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[it] for it in lines], Region(0, 0, WIDTH, HEIGHT))


def sent(update: CompositorUpdate | None) -> str:
    return "" if update is None else update.render_segments(CONSOLE)


@given(st.lists(st.tuples(frames, st.booleans(), st.integers(0, HEIGHT - 1)), max_size=6))
def test_the_terminal_always_shows_what_was_drawn(
    steps: list[tuple[list[list[tuple[str, Style]]], bool, int]],
) -> None:
    frame, mine, theirs = Frame(), Screen(), Screen()
    for lines, partly, y in steps:
        strips = [strip(it) for it in lines]
        update: CompositorUpdate = whole(strips)
        if partly:
            chops = [{0: it} for it in strips]
            update = ChopsUpdate(chops, [(y, 0, WIDTH)], [[WIDTH]] * HEIGHT)
        theirs.feed(sent(update))
        mine.feed(sent(frame.changes(update, (WIDTH, HEIGHT))))
        assert mine.cells == theirs.cells
        assert mine.styles == theirs.styles


def test_nothing_is_sent_for_what_is_there_and_little_for_little() -> None:
    frame = Frame()
    first = [strip([("memory 31G", STYLES[0])])] * HEIGHT
    assert len(sent(frame.changes(whole(first), (WIDTH, HEIGHT)))) > 60
    assert frame.changes(whole(first), (WIDTH, HEIGHT)) is None
    second = [*first[:2], strip([("memory 32G", STYLES[0])])]
    assert sent(frame.changes(whole(second), (WIDTH, HEIGHT))) == "\x1b[3;10H\x1b[31m2\x1b[0m"


def test_of_a_line_only_what_was_drawn_anew_is_looked_at() -> None:
    """Beside it Textual leaves the ground under widgets that it didn't ask."""
    frame, screen = Frame(), Screen()
    lines = [strip([("left|right", STYLES[0])])] * HEIGHT
    screen.feed(sent(frame.changes(whole(lines), (WIDTH, HEIGHT))))
    ground, fresh = Strip([Segment(" " * 6)], 6), Strip([Segment("RIGHT ", STYLES[0])], 6)
    chops: list[dict[int, Strip | None]] = [{0: ground, 6: fresh}] * HEIGHT
    update = ChopsUpdate(chops, [(1, 6, WIDTH)], [[6, WIDTH]] * HEIGHT)
    screen.feed(sent(frame.changes(update, (WIDTH, HEIGHT))))
    assert ["".join(it) for it in screen.cells] == ["xleft|right ", "xleft|RIGHT ", "xleft|right "]


def test_after_a_resize_or_a_redraw_all_is_sent() -> None:
    frame = Frame()
    lines = [strip([("abc", STYLES[1])])] * HEIGHT
    all_of_it = sent(frame.changes(whole(lines), (WIDTH, HEIGHT)))
    frame.forget()
    assert sent(frame.changes(whole(lines), (WIDTH, HEIGHT))) == all_of_it
    assert sent(frame.changes(whole(lines), (WIDTH, HEIGHT + 1))) == all_of_it


@given(st.text(max_size=20))
def test_ascii_is_as_wide_and_nothing_but_ascii(text: str) -> None:
    printable = "".join(it for it in text if it.isprintable() and cell_len(it)) + OURS
    assert plain(printable).isascii()
    assert cell_len(plain(printable)) == cell_len(printable)


def test_the_filter_keeps_styles() -> None:
    from textual.color import Color

    out = AsciiFilter().apply([Segment("● ready", STYLES[0])], Color(0, 0, 0))
    assert out == [Segment("* ready", STYLES[0])]


def test_what_another_textual_would_send_is_sent_as_it_is() -> None:
    frame = Frame()
    lines = [strip([("abc", STYLES[1])])] * HEIGHT
    update = whole(lines)
    assert frame.changes(update, (WIDTH, HEIGHT)) is not update
    odd = whole(lines)
    del odd.strips
    assert frame.changes(odd, (WIDTH, HEIGHT)) is odd, "it isn't as it is known"
    assert not frame.works
    assert frame.changes(update, (WIDTH, HEIGHT)) is update, "nothing is guessed any more"


def test_without_textuals_own_classes_everything_is_sent_whole() -> None:
    code = (
        "import textual._compositor as c\n"
        "from textual.app import App\n"
        "for it in ('ChopsUpdate', 'CompositorUpdate', 'LayoutUpdate'): delattr(c, it)\n"
        "from flextui.screens.frame import Frame\n"
        "whole = object()\n"
        "assert Frame().changes(whole, (80, 24)) is whole\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
