"""What happened, newest first: who did what, and what the fleet did by itself."""

from __future__ import annotations

from collections import deque

from textual import work
from textual.app import ComposeResult

from flextui.core.commands import CommandError, ListEvents
from flextui.core.model.docs import EventDoc
from flextui.screens import rows
from flextui.screens.place import Place
from flextui.screens.view import View
from flextui.screens.widgets.grid import Column, Grid

COLUMNS = (
    Column("time", least=8, most=8),
    Column("what", least=10, most=20),
    Column("by", least=5, most=12, drop=2),
    Column("node", least=5, most=14, drop=1),
    Column("of", least=6, most=20),
    Column("text", least=10, most=200),
)
KEPT = 2000


class Events(Place):
    """The last events, live."""

    KEYS = "/ filter  1 fleet  2 jobs  esc back  : go to  ? help"
    HELP = "The history of the fleet with who caused each thing. Times are UTC."

    def __init__(self) -> None:
        super().__init__("events")
        self._events: deque[EventDoc] = deque(maxlen=KEPT)
        self._grid = Grid(COLUMNS, empty="nothing has happened yet", id="events")

    def content(self) -> ComposeResult:
        yield self._grid

    def home_focus(self) -> Grid:
        return self._grid

    def on_mount(self) -> None:
        super().on_mount()
        self._follow()

    def show_view(self, view: View) -> None:
        self.home_focus().show(rows.keep(rows.event_rows(self._events), self.pattern))

    @work(exclusive=True)
    async def _follow(self) -> None:
        client = self.app.client
        if client is None:
            return
        try:
            stored = (await client.call(ListEvents(limit=KEPT)))["events"]
            self._events.extend(stored)
            self.show_view(self.app.view)
            async for event in client.events(after=stored[-1]["seq"] if stored else 0):
                self._events.append(event)
                self.show_view(self.app.view)
        except (CommandError, ConnectionError) as error:
            self.app.tell(f"events: {error}", bad=True)
