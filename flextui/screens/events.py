"""What happened, newest first: who did what, and what the fleet did by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult

from flextui.core.commands import CommandError, ListEvents
from flextui.core.model.docs import EventDoc
from flextui.screens.fields import events
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

KEPT = 2000


class Events(Place):
    """The last events, live."""

    NAME = "events"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("open-job", "l, right", "open the job", "focused.open",
            command="show JOB"),
        Key("group", "t", "group by what, by whom", short="group"),
        Key("yank", "y", "yank the text"),
        *sort_keys(events.FIELDS),
    )  # fmt: skip
    OPENS = "job or node"
    HELP = "The history of the fleet with who caused each thing. Times are UTC."

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "events")
        self._events: dict[str, EventDoc] = {}
        self._table = Table(
            events.FIELDS, order=events.order, groups=events.GROUPS, layout=app.layout("events")
        )
        self._grid = Grid(self._table, empty="nothing has happened yet", id="events")

    def content(self) -> ComposeResult:
        yield self._grid

    def home_focus(self) -> Grid:
        return self._grid

    def on_mount(self) -> None:
        super().on_mount()
        self._follow()

    def show_view(self, view: View) -> None:
        self._table.sync(self._events, self.app.now(), self.pattern)
        self._grid.show()

    def _add(self, event: EventDoc) -> None:
        self._events[str(event["seq"])] = event
        if len(self._events) > KEPT:
            del self._events[next(iter(self._events))]

    @work(exclusive=True)
    async def _follow(self) -> None:
        client = self.app.client
        if client is None:
            return
        try:
            stored = (await client.call(ListEvents(limit=KEPT)))["events"]
            for event in stored:
                self._add(event)
            self.app.changed()
            async for event in client.events(after=stored[-1]["seq"] if stored else 0):
                self._add(event)
                self.app.changed()
        except (CommandError, ConnectionError) as error:
            self.app.tell(f"events: {error}", bad=True)

    @on(Grid.Opened, "#events")
    def _open(self, event: Grid.Opened) -> None:
        doc = self._table.doc(event.key)
        job = doc["job"] if doc else None
        if job is not None and job in self.app.view.jobs:
            self.app.open_job(job)
        elif doc is not None and doc["node"] in self.app.view.nodes:
            self.app.open_node(doc["node"] or "")
        else:
            self.app.tell("it is of no job or node that is there")

    def action_yank(self) -> None:
        chosen = [it for key in self._grid.chosen if (it := self._table.doc(key))]
        self.app.yank("\n".join(f"{it['at']} {it['kind']} {it['text']}" for it in chosen))
