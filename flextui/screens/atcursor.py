"""What the editor says of the place at which one writes: a line of help, and what may be there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flextui.core.commands import CommandError, WhoAmI
from flextui.screens.apply import Painted
from flextui.screens.editing.context import Context, context, field_at
from flextui.screens.editing.problems import Mistake
from flextui.screens.editing.schema import spec_schema
from flextui.screens.editing.suggest import Choice, Known, known, suggest
from flextui.screens.format import Span
from flextui.screens.widgets.choices import Choices
from flextui.screens.widgets.yamlarea import YamlArea

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

_AT_ONCE = frozenset(
    {"gpu_model", "node", "project", "volumes", "type", "on", "then", "placement", "preempt"}
)
"""Fields whose values are few: they are offered before a letter is written."""


class AtCursor:
    """Over the text of one editor."""

    def __init__(self, app: FlextuiApp, text: YamlArea) -> None:
        self._app = app
        self._text = text
        self.hint = Painted(id="hint")
        self.choices = Choices()
        self._names: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        """Projects and volumes: the view has none of them."""
        self._place = (0, 0)
        """Line and column of the word that the list is for."""
        self._written: str | None = None
        """What a choice has written: no list opens for it by itself."""

    async def ask_names(self) -> None:
        """Have the core tell one's own projects, and the volumes."""
        client = self._app.client
        if client is None:
            return
        try:
            said = await client.call(WhoAmI())
        except (CommandError, ConnectionError):
            return
        self._names = tuple(said.get("projects") or ()), tuple(said.get("volumes") or ())

    def here(self) -> Context | None:
        return context(self._text.lines, *self._text.cursor_location)

    # ── help ──

    def tell(self, mistakes: Sequence[Mistake]) -> None:
        """The line below the text: the mistake of this line, else what the field means."""
        row, column = self._text.cursor_location
        wrong = next((it for it in mistakes if it.row == row), None)
        if wrong is not None:
            self.hint.show([[Span(f"✗ {wrong.text}", "bad")]])
            return
        path, schema = field_at(self._text.lines, row, column), spec_schema()
        found = schema.field(path) if path else None
        while (found is None or not found.help) and len(path) > 1:
            path = path[:-1]
            found = schema.field(path)
        self.hint.show([[Span(found.line if found else "", "dim")]])

    # ── what may stand here ──

    def moved(self) -> None:
        """The cursor may have left the word that a list is for."""
        if self.choices.open:
            at = self.here()
            if at is None or (self._text.cursor_location[0], at.start) != self._place:
                self.choices.close()

    def typed(self, *, writing: bool) -> None:
        """While a word is written: what it may become, unless there is nothing to say."""
        at = self.here() if writing else None
        if at is None or not self._text.selection.is_empty:
            self.choices.close()
            return
        few = not at.naming and not at.typed and bool(at.path) and at.path[-1] in _AT_ONCE
        if (at.typed or few) and at.typed != self._written:
            self._offer(at, enter=False)
        else:
            self.choices.close()
        self._written = None

    def step(self, by: int) -> bool:
        """Open the list, or go through it. False: there is nothing to offer."""
        at = self.here()
        if self.choices.open:
            self.choices.step(by)
        elif at is not None:
            self._offer(at, enter=True)
        return self.choices.open

    def take(self) -> None:
        """Write the chosen word."""
        chosen, at = self.choices.chosen, self.here()
        self.choices.close()
        if chosen is not None and at is not None:
            self._write(chosen, at)

    def _offer(self, at: Context, *, enter: bool) -> None:
        found = suggest(at, spec_schema(), self._known())
        if not enter and [it.word for it in found] == [at.typed]:
            found = []
        self._place = (self._text.cursor_location[0], at.start)
        cursor = self._text.cursor_screen_offset
        self.choices.offer(found, cursor, self._app.size, enter=enter)

    def _known(self) -> Known:
        view = self._app.view
        return known(view.nodes.values(), view.jobs.values(), *self._names)

    def _write(self, chosen: Choice, at: Context) -> None:
        self._written = None if chosen.tail else chosen.word
        row, column = self._text.cursor_location
        rest = self._text.lines[row][column:]
        tail = "" if rest.lstrip().startswith(":") else chosen.tail
        self._text.put(chosen.word + tail, at.start)
