"""What happened, newest first: who did what, and what the fleet did by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Static

from flextui.core.commands import CommandError, ListEvents
from flextui.core.events_view import wanted
from flextui.core.model.docs import EventDoc
from flextui.screens import format as fmt
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
RETRY_S = 1.0


class Events(Place):
    """The last events, live: all, or those of a job or a node."""

    NAME = "events"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("open-job", "l, right", "open the job or the node", "focused.open",
            command="show JOB"),
        Key("audit", "a", "only what people did, or everything", short="audit",
            command="events --audit"),
        Key("open-node", "N", "open the node, where there is a job as well",
            command="events --node NODE"),
        Key("group", "t", "group by what, by whom, by node", short="group"),
        Key("yank", "y", "yank the text"),
        *sort_keys(events.FIELDS),
    )  # fmt: skip
    OPENS = "job or node"
    HELP = (
        "The history of the fleet with who caused each thing. The audit shows only what people "
        "did: submits, edits, stops, drains, cordons, reservations, takeovers; it is kept until "
        "it is as old as policy.log_keep says, however much else happens."
    )

    DEFAULT_CSS = """
    Events #about { height: auto; max-height: 30%; padding: 0 1; background: $surface; }
    Events #about.empty { display: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        job, node = (*location[1:], "", "")[:2]
        super().__init__(location, _title(app, job, node))
        self._audit = app.memory.get(location, {}).get("audit", "") != ""
        self._job, self._node = job or None, node or None
        self._events: dict[str, EventDoc] = {}
        self._table = Table(
            events.FIELDS, order=events.order, groups=events.GROUPS, layout=app.layout("events")
        )
        self._grid = Grid(self._table, id="events")
        self._known = False
        """The core has told what happened."""
        self._about = Static(id="about", markup=False)

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._about

    def home_focus(self) -> Grid:
        return self._grid

    def on_mount(self) -> None:
        super().on_mount()
        self._follow()

    def remember(self) -> None:
        super().remember()
        self.app.memory[self.location]["audit"] = "on" if self._audit else ""

    def show_view(self, view: View) -> None:
        self._top.place = self._titled()
        self._table.sync(self._events, self.app.now(), self.pattern)
        self._grid.show(None if self._known else self.app.asking)
        self._tell_about()

    def _titled(self) -> str:
        """What is shown, for the top line."""
        whole = self.place_title
        return f"{whole.removesuffix('events')}audit" if self._audit else whole

    @on(Grid.Moved, "#events")
    def _tell_about(self) -> None:
        doc = self._table.doc(self._grid.cursor_key or "")
        text = about(doc) if doc else ""
        self._about.set_class(not text, "empty")
        if text != self._about.content:
            self._about.update(text)

    def hints(self) -> list[tuple[str, str]]:
        named = {"audit": "everything" if self._audit else "audit"}
        return [(chord, named.get(word, word)) for chord, word in super().hints()]

    # ── following ──

    @property
    def _query(self) -> ListEvents:
        return ListEvents(0, self._job, KEPT, self._node, None, self._audit)

    def _add(self, event: EventDoc) -> None:
        self._events[str(event["seq"])] = event
        if len(self._events) > KEPT:
            del self._events[next(iter(self._events))]

    @work(exclusive=True, group="events")
    async def _follow(self) -> None:
        """Until the screen goes; a core that went away is asked again when it is back."""
        while True:
            try:
                await self._take_all()
            except CommandError as error:
                self.app.tell(f"events: {error}", bad=True)
                return
            except ConnectionError:
                await asyncio.sleep(RETRY_S)

    async def _take_all(self) -> None:
        """What is stored, then what happens. Raises `ConnectionError`."""
        client, query = self.app.client, self._query
        if client is None:
            raise ConnectionError("no core is in reach")
        stored = (await client.call(query))["events"]
        self._known = True
        self._events.clear()
        for event in stored:
            self._add(event)
        self._grid.show("nobody has done anything yet" if self._audit else "nothing has happened")
        self.app.changed()
        async for event in client.events(after=stored[-1]["seq"] if stored else None):
            if wanted(event, query):
                self._add(event)
                self.app.changed()
        raise ConnectionError("the core ended")

    # ── keys ──

    def action_audit(self) -> None:
        """Only what people did, or everything."""
        self._audit = not self._audit
        self.refresh_view()
        self._follow()

    @on(Grid.Opened, "#events")
    def _open(self, event: Grid.Opened) -> None:
        doc = self._table.doc(event.key)
        if doc is not None and doc["job"] is not None and doc["job"] != self._job:
            self.app.open_job(doc["job"])
        else:
            self.action_open_node()

    def action_open_node(self) -> None:
        doc = self._table.doc(self._grid.cursor_key or "")
        if doc is not None and doc["node"] in self.app.view.nodes:
            self.app.open_node(doc["node"] or "")
        else:
            self.app.tell("it is of no job or node that is there")

    def action_yank(self) -> None:
        chosen = [it for key in self._grid.chosen if (it := self._table.doc(key))]
        self.app.yank(
            "\n".join(f"{it['at']} {it['kind']} {it['actor']} {it['text']}" for it in chosen)
        )


def about(event: EventDoc) -> str:
    """All of one event, with what a line may have cut: both times, and the whole text."""
    head = f"{fmt.both_times(event['at'])}   {event['kind']} by {event['actor']}"
    where = " ".join(it for it in (event["attempt"] or event["job"], event["node"]) if it)
    return fmt.safe_lines("\n".join([f"{head}   {where}".rstrip(), event["text"]]))


def _title(app: FlextuiApp, job: str, node: str) -> str:
    if job:
        known = app.view.jobs.get(job)
        return f"jobs ▸ {known['name'] if known else job} ▸ events"
    return f"fleet ▸ {node} ▸ events" if node else "events"
