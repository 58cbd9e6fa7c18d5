"""`?` — the keys of the place one is in, as they are bound, and the commands that do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from flextui.screens.keys import Bound, Key, Keymap, shown
from flextui.screens.prompt import Prompt

if TYPE_CHECKING:
    from flextui.screens.place import Place

_TITLES = {
    "list": "In lists", "map": "On the map", "everywhere": "Everywhere", "pager": "In the text",
    "devices": "In the list of GPUs", "processes": "In the list of processes",
}  # fmt: skip


COMMANDS = 46
"""The column in which commands stand, where what the key does leaves room for it,"""
WIDTH = 70
"""and the cells of a line in the narrowest terminal."""


class Help(Prompt[None]):
    """Made from the keymap, so that it can't be wrong."""

    NAME = "help"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("close", "?, f1, q, escape", "close"),
        Key("down", "j, down", "down", "by(1)"),
        Key("up", "k, up", "up", "by(-1)"),
        Key("half-down", "ctrl+d, pagedown, space", "half a page down", "half(1)"),
        Key("half-up", "ctrl+u, pageup", "half a page up", "half(-1)"),
        Key("top", "g, home", "top", "by(-10000)"),
        Key("bottom", "G, end", "bottom", "by(10000)"),
    )
    DEFAULT_CSS = """
    Help > VerticalScroll {
        width: 84; max-width: 96%; height: auto; max-height: 90%; background: $panel; padding: 1 2;
        scrollbar-size-vertical: 1;
    }
    Help:ansi > VerticalScroll { border: solid $foreground-muted; }
    """

    def __init__(self, place: Place, problems: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._place = place
        self._problems = problems
        self._page = VerticalScroll()

    def compose(self) -> ComposeResult:
        place = self._place
        text = Text(f"{place.place_title}\n", style="bold")
        text.append(f"\n{place.HELP}\n", style="not bold")
        if self._problems:
            text.append("\nYour config has mistakes; the rest of it is in force\n")
            for problem in self._problems:
                text.append(f"  {problem}\n", style="not bold")
        for name in place.chain:
            lines = key_lines(self.app.keymap, place.chain, name, ascii_only=self.app.ascii_only)
            if lines:
                text.append(f"\n{_TITLES.get(name, 'Here')}\n")
                text.append("\n".join(lines) + "\n", style="not bold")
        if place.LEGEND:
            text.append("\nSigns\n")
            text.append("\n".join(f"  {line}" for line in place.LEGEND), style="not bold")
        with self._page:
            yield Static(text)

    def home_focus(self) -> VerticalScroll:
        return self._page

    def action_close(self) -> None:
        self.dismiss()

    def action_by(self, lines: int) -> None:
        self._page.scroll_relative(y=lines, animate=False)

    def action_half(self, halves: int) -> None:
        self.action_by(halves * max(1, self.size.height // 2))


def key_lines(
    keymap: Keymap, chain: tuple[str, ...], place: str, *, ascii_only: bool = False
) -> list[str]:
    """A line for each key that a place declares: how it is pressed in this chain, what it does."""
    table = keymap.table(chain)
    bounds = {it: [c for c in it.chords if table.get(c) is it] for it in keymap.of(place)}
    sorts = [it for it in bounds if it.key.name.startswith("sort-")]
    said = {it: [shown(c, ascii_only=ascii_only) for c in cs] for it, cs in bounds.items()}
    lines = [key_line(it, said[it]) for it in bounds if it not in sorts]
    if sorts:
        lines.append("  sort by (again: the other way; a third time: the usual order)")
        words = [f"{', '.join(said[it]) or '–'} {it.key.word[8:]}" for it in sorts]
        lines += _columns(words)
    return lines


def key_line(bound: Bound, said: list[str]) -> str:
    """`s        stop                    flextui stop JOB`"""
    pressed = "  ".join(said) or "–"
    line = f"  {pressed:<12} {bound.key.word}"
    if not bound.key.command:
        return line
    command = f"flextui {bound.key.command}"
    if len(line) > COMMANDS and len(f"{line}  {command}") > WIDTH:
        return f"{line}\n{'':<{COMMANDS}} {command}"
    return f"{line:<{COMMANDS}} {command}" if len(line) <= COMMANDS else f"{line}  {command}"


def _columns(words: list[str]) -> list[str]:
    """Short texts side by side."""
    wide = max(map(len, words)) + 2
    a_line = max(1, 68 // wide)
    return [
        "    " + "".join(f"{word:<{wide}}" for word in words[at : at + a_line]).rstrip()
        for at in range(0, len(words), a_line)
    ]
