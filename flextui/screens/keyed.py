"""A screen whose keys come from the keymap, so that every one can be rebound, disabled and told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from flextui.screens.keys import Bound, Key

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

EVERYWHERE = (
    Key("filter", "/", "filter by a regex; !regex shows all but these", short="filter"),
    Key("goto", ":", "go to a screen, job or node, or do a command", "app.goto", short="go to"),
    Key("help", "?", "the keys of this place", "app.help", short="help", typing=False),
    Key("help-typing", "f1", "the same, also while a text is typed", "app.help", short="help",
        typing=True),
    Key("up", "escape", "one level up; never quits", "back", typing=True),
    Key("history-back", "[, alt+left", "where you were before", "app.walk(-1)"),
    Key("history-forward", "], alt+right", "forward again", "app.walk(1)"),
    Key("fleet", "1", "fleet", "app.go('fleet')", command="nodes"),
    Key("jobs", "2", "jobs", "app.go('jobs')", command="jobs"),
    Key("events", "3", "events", "app.go('events')", command="events"),
    Key("gpus", "4", "GPUs of all nodes", "app.go('gpus')", command="gpus"),
    Key("commands", "5", "command log: what was done here, to yank", "app.go('commands')"),
    Key("problems", "6", "what is wrong now", "app.go('problems')", command="problems"),
    Key("placement", "7", "which job holds which GPU, and what a waiting job waits for",
        "app.go('placement')", command="placement"),
    Key("queue", "8", "what waits for a place, in order", "app.go('queue')", command="queue"),
    Key("new-job", "n", "new job: the editor, with an example ready to submit", "app.new_job"),
    Key("undo", "u", "take back a stop or a drain that isn't done yet", "app.undo"),
    Key("read-only", "ctrl+r", "read-only mode on or off", "app.read_only", typing=True),
    Key("slow-line", "~", "send less, as for a slow line, or as much as is good",
        "app.slow_line"),
    Key("slower", "<", "in the demo: time goes slower, down to a standstill", "app.pace(-1)"),
    Key("faster", ">", "in the demo: time goes faster, up to 60×", "app.pace(1)"),
    Key("redraw", "ctrl+l", "draw everything anew", "app.redraw", typing=True),
    Key("quit", "q", "back, and from the top: quit", "app.leave"),
    Key("leave", "ctrl+q", "quit", "app.leave", typing=True),
    Key("interrupt", "ctrl+c", "copy what the mouse selected, or say how to quit", "app.interrupt",
        typing=True),
)  # fmt: skip


LOW = 10
"""In fewer lines a place shows its list alone, and nothing is drawn around a question."""


class Keyed(Screen[Any]):
    """A screen over the app's keymap. The app asks it what a stroke means, one after the other."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (LOW, "-high")]
    app: FlextuiApp
    _begun: str = ""
    """The strokes of a chord so far."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = asyncio.Event()
        """Set when it is there and knows who takes the keys."""

    @property
    def chain(self) -> tuple[str, ...]:
        """The places whose keys work here now, the innermost first."""
        raise NotImplementedError

    def home_focus(self) -> Widget | None:
        """The widget that takes the keys that no place knows."""
        return None

    def take_focus(self) -> None:
        """Keys go to where they belong when one comes here."""
        if (widget := self.home_focus()) is not None:
            self.set_focus(widget)

    def meaning(self, stroke: str) -> Bound | None:
        """What a stroke means here now, after those before it; None: nothing, or not yet."""
        keymap, before = self.app.keymap, self._begun
        chord = f"{before} {stroke}" if before else stroke
        table = keymap.table(self.chain)
        bound = table.get(chord)
        if self.writing and (bound is None or not bound.key.typing):
            return None
        self._begun = ""
        if bound is None and keymap.starts(self.chain, chord):
            self._begun = chord
        elif bound is None and before and stroke != "escape":
            bound = table.get(stroke)
        return bound

    @property
    def begun(self) -> str:
        """The strokes of a chord so far."""
        return self._begun

    @property
    def writing(self) -> bool:
        """Whether a text is typed: only some keys mean anything but themselves."""
        from textual.widgets import TextArea  # slow to import: not before the first paint

        return isinstance(self.focused, Input | TextArea)

    def key_done(self) -> None:
        """A key has been dealt with."""

    def keys_after(self, begun: str) -> list[tuple[str, Bound]]:
        """What completes a chord: (the strokes that are missing, what it does)."""
        table, start = self.app.keymap.table(self.chain), begun + " "
        return [(it.removeprefix(start), table[it]) for it in table if it.startswith(start)]
