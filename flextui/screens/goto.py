"""`:` — jump to any screen, job or node, or do a command, by a few letters of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


def score(wanted: str, name: str) -> int | None:
    """How well a name fits: 0 exact, 1 prefix, 2 inside, 3 letters in order, None not at all."""
    wanted, name = wanted.lower(), name.lower()
    if wanted == name:
        return 0
    if name.startswith(wanted):
        return 1
    if wanted in name:
        return 2
    letters = iter(name)
    return 3 if all(letter in letters for letter in wanted) else None


def best(wanted: str, names: Sequence[str], most: int = 8) -> list[str]:
    """The names that fit, best first, then in the order given."""
    found = [(s, i, n) for i, n in enumerate(names) if (s := score(wanted, n)) is not None]
    return [name for _, _, name in sorted(found)[:most]]


class GoTo(ModalScreen[str | None]):
    """Answers the chosen name, None on Esc."""

    DEFAULT_CSS = """
    GoTo { align: left bottom; background: transparent; }
    GoTo > Vertical { width: 60; max-width: 100%; height: auto; background: $panel; padding: 0 1; }
    GoTo Input, GoTo Input:focus { border: none; height: 1; padding: 0 0 0 2; background: $panel; }
    GoTo #matches { color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "back"),
        Binding("down,ctrl+n,tab", "pick(1)", "next", priority=True),
        Binding("up,ctrl+p,shift+tab", "pick(-1)", "previous", priority=True),
    ]

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names
        self._matches: list[str] = list(names[:8])
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="matches", markup=False)
            yield Input(placeholder="go to: fleet, jobs, a job, a node …", id="goto")

    def on_mount(self) -> None:
        self._draw()
        self.query_one("#goto", Input).focus()

    @on(Input.Changed, "#goto")
    def _typed(self, event: Input.Changed) -> None:
        self._matches = best(event.value, self._names) if event.value else list(self._names[:8])
        self._at = 0
        self._draw()

    @on(Input.Submitted, "#goto")
    def _chosen(self) -> None:
        self.dismiss(self._matches[self._at] if self._matches else None)

    def _draw(self) -> None:
        lines = [("▸ " if i == self._at else "  ") + n for i, n in enumerate(self._matches)]
        self.query_one("#matches", Static).update("\n".join(lines) or "  nothing by that name")

    def action_pick(self, by: int) -> None:
        if self._matches:
            self._at = (self._at + by) % len(self._matches)
            self._draw()

    def action_cancel(self) -> None:
        self.dismiss(None)
