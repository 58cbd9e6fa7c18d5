"""What each place looks like: its text, and its colours in the dark and in the light theme.

Text, since it is what a reviewer reads in a diff: beside `jobs-80x24.txt` stand
`jobs-80x24.dark.txt` and `.light.txt`, in which each letter is a style that the end of the file
explains. The clock is frozen. `FLEXTUI_SNAPSHOTS=write` renews them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.style import Style
from textual.pilot import Pilot

from flextui.app import FlextuiApp
from flextui.screens.keyed import Keyed
from flextui.screens.look import Look
from flextui.screens.prompt import Prompt
from tests.screens.fake_client import FakeClient, FakeLink
from tests.screens.test_first_run_screen import FakeSetup

FOLDER = Path(__file__).resolve().parents[1] / "snapshots"
NOON = 1795522800.0
SIZES = [(80, 24), (120, 40), (200, 60)]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LEGIBLE = 3.0
"""The least contrast between a letter and what is behind it (WCAG's for large text and signs)."""

EDIT = ("2", "/", *"train", "enter", "e", *["down"] * 8)
PLACES: dict[str, tuple[str, ...]] = {
    "fleet": ("g",),
    "node": ("j", "enter"),
    "gpu": ("4", "j", "enter"),
    "gpus": ("4",),
    "map": ("z", "l"),
    "jobs": ("2",),
    "jobs-grouped": ("2", "t", "t", "j", "space"),
    "jobs-filtered": ("2", "/", *"chat", "enter"),
    "job": ("2", "j", "j", "enter"),
    "job-timeline": ("2", "enter", "t"),
    "job-spec": ("2", "enter", "i"),
    "job-use": ("2", "enter", "m"),
    "revisions": ("2", "enter", "d"),
    "node-charts": ("enter", "m"),
    "node-link": ("enter", "w"),
    "placement": ("7", "G"),
    "queue": ("8", "w"),
    "problems": ("6",),
    "problems-step": ("6", "j", "x"),
    "priority": ("2", "*", "p"),
    "drain": ("d",),
    "logs": ("2", "j", "l"),
    "logs-paused": ("2", "j", "l", "k", "k", "k"),
    "logs-found": ("2", "j", "l", "/", *"step 2", "enter", "+"),
    "logs-jump": ("2", "j", "l", "T"),
    "events": ("3",),
    "commands": ("2", "s", "y", "5"),
    "editor": ("n",),
    "editor-offered": ("n", *["down"] * 7, *"where:", "enter", *"node: [gpu1, "),
    "editor-edit": (*EDIT, "end", "backspace", "backspace", *"05'"),
    "editor-apply": (*EDIT, "end", "backspace", "backspace", *"05'", "ctrl+s"),
    "help": ("?",),
    "goto": (":", *"chat"),
    "columns": ("2", "f"),
    "sort": ("2", "o"),
    "stop": ("2", "s"),
    "stop-many": ("2", "*", "s"),
    "read-only": ("ctrl+r",),
    "first-run": ("j",),
    "first-run-name": ("enter",),
}


AWAITED = {
    "gpu": "busy 82%", "events": "audit.cordon", "job": "1st of 1", "job-timeline": "● running",
    "job-spec": "python train.py", "job-use": "GPUs busy", "revisions": "serve --port 81",
    "node-charts": "GPU 0 A100-80", "node-link": "audit.cordon", "placement": "goes to gpu1",
    "queue": "1st of 1",
}  # fmt: skip
"""What a place shows once it has its answers, which may be drawn a moment after they came."""


def cells(app: FlextuiApp) -> list[list[tuple[str, Style]]]:
    """Every cell of the screen and its style."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        line: list[tuple[str, Style]] = []
        for text, style, _ in strip:
            for character in text:
                width = cell_len(character)
                line += [(character, style or Style())] * min(width, 1)
                line += [("", style or Style())] * (width - 1)
        lines.append(line)
    return lines


def text(app: FlextuiApp) -> str:
    """The screen as text, its right edge trimmed."""
    return "\n".join("".join(it for it, _ in line).rstrip() for line in cells(app)) + "\n"


def colours(app: FlextuiApp) -> str:
    """A letter for each cell, and what the letters mean."""
    letters: dict[str, str] = {}
    lines = []
    for line in cells(app):
        row = "".join(letters.setdefault(look(style), LETTERS[len(letters)]) for _, style in line)
        lines.append(row)
    legend = [f"{letter}  {words}" for words, letter in letters.items()]
    return "\n".join([*map(folded, lines), "", *legend]) + "\n"


def folded(line: str) -> str:
    """`a80` for 80 times a: what a line of one style is mostly."""
    out, at = "", 0
    while at < len(line):
        end = at
        while end < len(line) and line[end] == line[at]:
            end += 1
        out += f"{line[at]}{end - at} "
        at = end
    return out.rstrip()


def look(style: Style) -> str:
    """A style without what links and offsets it carries."""
    words = [name for name in ("bold", "italic", "underline", "reverse") if getattr(style, name)]
    fore = style.color.name if style.color else "default"
    back = style.bgcolor.name if style.bgcolor else "default"
    return " ".join([fore, "on", back, *words])


async def settled(app: FlextuiApp, pilot: Pilot[None]) -> None:
    """Until the screen has stopped changing."""
    before = ""
    async with asyncio.timeout(20):
        while (now := text(app)) != before or not now.lstrip(" ")[:1].strip() or thinking(app):
            before = now
            await pilot.pause(0.05)


def thinking(app: FlextuiApp) -> bool:
    """Whether an editor still looks at what was typed, or a question is on its way."""
    asks = any(it.group == "submit" and not it.is_finished for it in app.workers)
    coming = asks and not isinstance(app.screen, Prompt)
    there = app.screen.ready.is_set() if isinstance(app.screen, Keyed) else True
    return coming or not there or any(getattr(it, "thinking", False) for it in app.screen_stack)


async def drawn(place: str, size: tuple[int, int], theme: str) -> FlextuiApp:
    app = FlextuiApp(FakeLink(FakeClient()), Look(theme=f"textual-{theme}", undo_s=0.0))
    app.clock = lambda: NOON
    async with app.run_test(size=size) as pilot:
        async with asyncio.timeout(20):
            while not app.view.nodes:
                await pilot.pause()
        if place.startswith("first-run"):
            app.setup = FakeSetup()
            app.open("first-run")
        await pilot.press(*PLACES[place])
        app.clear_notifications()
        async with asyncio.timeout(20):
            while AWAITED.get(place, "") not in text(app):
                await pilot.pause(0.05)
        await settled(app, pilot)
        for name, seen in (("", text(app)), (f".{theme}", colours(app))):
            file = FOLDER / f"{place}-{size[0]}x{size[1]}{name}.txt"
            if os.environ.get("FLEXTUI_SNAPSHOTS") == "write":
                file.write_text(seen)
            assert seen == file.read_text(), file.name
        assert [it for line in on_top(app) for it in illegible(line)] == []
    return app


def on_top(app: FlextuiApp) -> list[list[tuple[str, Style]]]:
    """The cells of what has the keys: all, or the box of a prompt over a place that is dimmed."""
    if not isinstance(app.screen, Prompt):
        return cells(app)
    x, y, width, height = app.screen.children[0].region
    return [line[x : x + width] for line in cells(app)[y : y + height]]


def illegible(line: list[tuple[str, Style]]) -> Iterator[tuple[str, str]]:
    """Letters that can't be told from what is behind them."""
    for character, style in line:
        drawing = character == "·" or "─" <= character <= "▟"
        if character.strip() and not drawing and contrast(style) < LEGIBLE:
            yield character, look(style)


def contrast(style: Style) -> float:
    if style.color is None or style.bgcolor is None:
        return 21.0
    one, other = sorted(map(luminance, (style.color.get_truecolor(),
                                        style.bgcolor.get_truecolor())))  # fmt: skip
    return (other + 0.05) / (one + 0.05)


def luminance(triplet: tuple[int, int, int]) -> float:
    parts = [it / 255 for it in triplet]
    red, green, blue = [it / 12.92 if it <= 0.03928 else ((it + 0.055) / 1.055) ** 2.4
                        for it in parts]  # fmt: skip
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local times are those of Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("place", PLACES)
async def test_a_place_looks_as_it_did(place: str, size: tuple[int, int], theme: str) -> None:
    await drawn(place, size, theme)


def test_no_snapshot_is_of_a_place_that_is_gone() -> None:
    names = {f"{place}-{w}x{h}{theme}.txt" for place in PLACES for w, h in SIZES
             for theme in ("", ".dark", ".light")}  # fmt: skip
    assert {file.name for file in FOLDER.glob("*.txt")} == names
