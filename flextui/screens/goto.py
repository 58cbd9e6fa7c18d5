"""`:` — jump to any screen, job or node, or do a command, by a few letters of its name."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from flextui.screens.fuzzy import Match, Names
from flextui.screens.keys import Key
from flextui.screens.prompt import Prompt
from flextui.screens.reach import Reach
from flextui.screens.widgets.press import Rows

MOST = 10
KEPT = 100


class GoTo(Prompt[str | None]):
    """Answers what was chosen, None on Esc. `history` has the newest last."""

    NAME = "prompt"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("take", "enter", "go there, or do it", typing=True),
        Key("cancel", "escape", "back", typing=True),
        Key("complete", "tab", "complete; again: the next match", typing=True),
        Key("previous", "shift+tab, ctrl+p", "the match above", "pick(-1)", typing=True),
        Key("next", "ctrl+n", "the match below", "pick(1)", typing=True),
        Key("older", "up", "what was typed before", "recall(1)", typing=True),
        Key("newer", "down", "what was typed after", "recall(-1)", typing=True),
    )
    DEFAULT_CSS = """
    GoTo { align: left bottom; background: transparent; }
    GoTo > Vertical { width: 72; max-width: 100%; height: auto; background: $panel; padding: 0 1; }
    GoTo:ansi > Vertical { border: solid $foreground-muted; }
    GoTo Input, GoTo Input:focus { border: none; height: 1; padding: 0 0 0 2; background: $panel; }
    GoTo #matches { height: auto; max-height: 12; }
    GoTo #hint { height: 1; color: $foreground-muted; }
    """

    def __init__(self, reach: Reach, history: list[str]) -> None:
        super().__init__()
        self._reach = reach
        self._history = history
        self._back = 0
        self._draft = ""
        self._names: dict[str, Names] = {}
        self._matches: list[Match] = []
        self._count = 0
        self._at = 0
        self._searched = ""
        self._completed = ""
        """The text as the last completion left it."""
        self._input = Input(placeholder="fleet, jobs, a job, a node, stop, drain …", id="goto")
        self._input.cursor_blink = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rows(id="matches")
            yield Static(id="hint", markup=False)
            yield self._input

    def on_mount(self) -> None:
        self._search("")
        super().on_mount()

    def home_focus(self) -> Input:
        return self._input

    @on(Input.Changed, "#goto")
    def _typed(self, event: Input.Changed) -> None:
        if event.value not in (self._completed, self._searched):
            self._completed = ""
            self._search(event.value)

    def action_take(self) -> None:
        """The chosen match, or what was typed if that is whole."""
        text = self._input.value.strip()
        if not self._completed and self._input.value != self._searched:
            self._search(self._input.value)
        if self._completed or self._is_whole(text) or not self._matches:
            self._leave(text)
        else:
            self._leave(self._matches[self._at].name)

    def _is_whole(self, text: str) -> bool:
        """What was typed is a command with all that it needs, so it is taken as it is."""
        verb = self._reach.verbs.get(text.partition(" ")[0])
        if verb is not None and verb.needs:
            return text.rpartition(" ")[2].isdigit()
        return text in self._reach.verbs and self._reach.verbs[text].of is None

    def _leave(self, text: str) -> None:
        if text:
            while text in self._history:
                self._history.remove(text)
            self._history.append(text)
            del self._history[:-KEPT]
        self.dismiss(text or None)

    def _search(self, text: str) -> None:
        self._searched = text
        scope = self._reach.scope(text)
        if scope not in self._names:
            self._names[scope] = Names(self._reach.names(text))
        self._matches, self._count = self._names[scope].best(text, MOST)
        self._at = 0
        self._draw(text)

    def _draw(self, text: str) -> None:
        out = Text()
        for index, it in enumerate(self._matches):
            out.append("▸ " if index == self._at else "  ", style="bold")
            out.append(_marked(it))
            out.append("\n")
        out.rstrip()
        self.query_one("#matches", Static).update(out if self._matches else "  nothing like that")
        chosen = self._matches[self._at].name if self._matches else text
        place = f"{self._at + 1} of {self._count:,}" if self._matches else ""
        self.query_one("#hint", Static).update(f"  {place}  {self._reach.hint(chosen + ' ')}")

    def action_pick(self, by: int) -> None:
        if self._matches:
            self._at = (self._at + by) % len(self._matches)
            self._draw(self._input.value)

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        """A click takes a match as Tab and Enter would: one that wants a name is completed."""
        if event.row >= len(self._matches):
            return
        self._at = event.row
        name = self._matches[self._at].name
        verb = self._reach.verbs.get(name)
        if verb is not None and verb.of is not None:
            self._put(name + " ", search=True)
        else:
            self._leave(name)

    def action_complete(self) -> None:
        """The chosen match into the line; if it stands there, the next one."""
        if not self._matches:
            return
        if self._completed and self._completed == self._input.value:
            self._at = (self._at + 1) % len(self._matches)
        name = self._matches[self._at].name
        verb = self._reach.verbs.get(name)
        if verb is not None and verb.of is not None:
            self._put(name + " ", search=True)
            return
        needs = self._reach.verbs.get(name.partition(" ")[0])
        self._completed = name + (" " if needs is not None and needs.needs else "")
        self._put(self._completed, search=False)
        self._draw(name)

    def action_recall(self, by: int) -> None:
        """Up and down through what was typed before."""
        if not self._back:
            self._draft = self._input.value
        back = max(0, min(len(self._history), self._back + by))
        if back != self._back:
            self._back = back
            self._put(self._history[-back] if back else self._draft, search=True)

    def _put(self, text: str, *, search: bool) -> None:
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        if search:
            self._completed = ""
            self._search(text)

    def action_cancel(self) -> None:
        self.dismiss(None)


def _marked(match: Match) -> Text:
    """The name with the letters that were meant underlined."""
    text = Text(match.name)
    for at in match.at:
        text.stylize("bold underline", at, at + 1)
    return text
