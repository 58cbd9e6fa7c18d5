"""A screen whose keys come from the keymap, so that every one can be rebound, disabled and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.screen import Screen
from textual.widgets import Input, TextArea

from flextui.screens.keys import Bound, Key, pressed

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

EVERYWHERE = (
    Key("filter", "/", "filter by a regex; !regex shows all but these", short="filter"),
    Key("goto", ":", "go to a screen, job or node, or do a command", "app.goto", short="go to"),
    Key("help", "?", "the keys of this place", "app.help", short="help", typing=False),
    Key("up", "escape", "one level up; never quits", "back", typing=True),
    Key("history-back", "[, alt+left", "where you were before", "app.walk(-1)"),
    Key("history-forward", "], alt+right", "forward again", "app.walk(1)"),
    Key("fleet", "1", "fleet", "app.go('fleet')", command="nodes"),
    Key("jobs", "2", "jobs", "app.go('jobs')", command="jobs"),
    Key("events", "3", "events", "app.go('events')", command="events"),
    Key("gpus", "4", "GPUs of all nodes", "app.go('gpus')", command="gpus"),
    Key("commands", "5", "command log: what was done here, to yank", "app.go('commands')"),
    Key("new-job", "n", "new job: the editor, with an example ready to submit", "app.new_job"),
    Key("read-only", "ctrl+r", "read-only mode on or off", "app.read_only", typing=True),
    Key("redraw", "ctrl+l", "draw everything anew", "app.redraw", typing=True),
    Key("quit", "q", "back, and from the top: quit", "app.leave"),
    Key("leave", "ctrl+q", "quit", "app.leave", typing=True),
    Key("interrupt", "ctrl+c", "copy what the mouse selected, or say how to quit", "app.interrupt",
        typing=True),
)  # fmt: skip


class Keyed(Screen[Any]):
    """A screen over the app's keymap."""

    app: FlextuiApp
    _begun: str = ""
    """The strokes of a chord so far."""

    @property
    def chain(self) -> tuple[str, ...]:
        """The places whose keys work here now, the innermost first."""
        raise NotImplementedError

    async def on_key(self, event: events.Key) -> None:
        """Run what the keymap says; what it doesn't know goes on to Textual's own widgets."""
        bound = self._meant(pressed(event.key, event.character))
        if bound is None:
            if self._begun:
                event.stop()
                event.prevent_default()
            return
        event.stop()
        event.prevent_default()
        if bound.key.acts and self.app.refuses(bound.key.word):
            return
        await self.run_action(bound.key.run())

    def _meant(self, stroke: str) -> Bound | None:
        keymap, before = self.app.keymap, self._begun
        chord = f"{before} {stroke}" if before else stroke
        table = keymap.table(self.chain)
        bound = table.get(chord)
        if self._writing and (bound is None or not bound.key.typing):
            return None
        self._begun = ""
        if bound is None and keymap.starts(self.chain, chord):
            self._begun = chord
        elif bound is None and before:
            bound = table.get(stroke)
        if before != self._begun:
            self.chord_changed(self._begun)
        return bound

    @property
    def _writing(self) -> bool:
        return isinstance(self.focused, Input | TextArea)

    def chord_changed(self, begun: str) -> None:
        """A chord has begun, or (empty) ended."""

    def keys_after(self, begun: str) -> list[Bound]:
        """The keys that complete a chord."""
        table = self.app.keymap.table(self.chain)
        return [bound for chord, bound in table.items() if chord.startswith(begun + " ")]
