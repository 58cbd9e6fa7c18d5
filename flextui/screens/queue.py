"""Everything that waits for a place: in which order, what gave it that, when it starts, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from flextui.core.commands import ListQueue, Why
from flextui.screens.fields import queue, why
from flextui.screens.format import Span
from flextui.screens.inquiry import Inquiry
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.sheet import Sheet

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ASK_S = 1.0
"""How often the core is asked at most; it answers as often as that costs it little."""
IDLE_S = 5.0
"""The same while nothing changes: forecasts move with time."""
LIMIT = 500
WIDE = 150
"""From so many columns on the reason stands beside the list, `PANEL` columns wide."""
PANEL = 72


class Queue(Place):
    """The queue, and beside it the whole reason of the one under the cursor."""

    NAME = "queue"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("why", "w", "why the one under the cursor waits, beside the list", short="why",
            command="why JOB"),
        Key("priority", "p", "set the priority", short="priority", command="priority JOB 50",
            acts=True),
        Key("hold", "H", "hold back, or release", short="hold", command="hold JOB...", acts=True),
        Key("stop", "s", "stop", short="stop", command="stop JOB...", acts=True),
        Key("group", "t", "group by project, user, reason"),
        Key("yank", "y", "yank the name"),
        *sort_keys(queue.FIELDS),
    )  # fmt: skip
    HELP = (
        "What waits for a place, in the order in which it gets one, with the points that gave it "
        "its place and when it is expected to start. The same as `flextui queue`, live."
    )
    LEGEND = ("how sure a start is:  ● certain   ◑ likely   ◔ rough   ? unknown",)
    DEFAULT_CSS = """
    Queue #both { layout: vertical; height: 1fr; }
    Queue #both.wide { layout: horizontal; }
    Queue #queue { height: 1fr; width: 1fr; }
    Queue #why { height: 1fr; border-top: solid $foreground-muted; }
    Queue .wide #why {
        width: 72; height: 1fr; border-top: none; border-left: solid $foreground-muted;
    }
    Queue #why.hidden { display: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "queue")
        self._answer: dict[str, Any] = {}
        self._rows: dict[str, queue.Row] = {}
        self._why: tuple[str | None, dict[str, Any]] = (None, {})
        """The job that was asked about, and the answer."""
        self._revision = -1
        self._asking = Inquiry(app, self)
        self._table = Table(
            queue.FIELDS, order=queue.order, groups=queue.GROUPS, layout=app.layout("queue")
        )
        self._grid = Grid(self._table, id="queue")
        self._panel = Sheet(id="why")
        self._panel.can_focus = False
        self._panel.set_class(not app.memory.get(location, {}).get("why"), "hidden")
        self._both = Container(self._grid, self._panel, id="both")

    def content(self) -> ComposeResult:
        yield self._both

    def home_focus(self) -> Grid:
        return self._grid

    def on_resize(self, event: Resize) -> None:
        self._both.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self._tell)

    def remember(self) -> None:
        super().remember()
        self.app.memory[self.location]["why"] = "" if self._panel.has_class("hidden") else "on"

    # ── drawing ──

    def show_view(self, view: View) -> None:
        self._ask(view)
        self._table.sync(self._rows, self.app.now(), self.pattern)
        empty = "nothing matches the filter" if self._rows else "nothing waits for a place"
        self._grid.show(empty if self._answer else self.app.asking)

    def found(self) -> str:
        waiting, told = self._answer.get("waiting", 0), len(self._rows)
        more = f", the first {told:,} of {waiting:,}" if told < waiting else ""
        return super().found() + more if self.pattern else ""

    def _tell(self) -> None:
        """The reason of the one under the cursor."""
        if self._panel.has_class("hidden"):
            return
        job = self.app.view.jobs.get(self._job or "")
        width = PANEL - 3 if self._both.has_class("wide") else self.app.size.width - 3
        known, told = self._why
        lines = why.page(told, job, width, self.app.now()) if known == self._job else []
        words = "it doesn't wait any more" if known == self._job else self.app.asking
        lines = lines or [(Span(words if self._job else "", "dim"),)]
        self._panel.show(len(lines), lambda at: lines[at])

    @property
    def _job(self) -> str | None:
        row = self._table.doc(self._grid.cursor_key or "")
        return row["id"] if row else None

    def _ask(self, view: View) -> None:
        """The order at once; when each starts as soon as that is worked out."""
        if view.revision != self._revision:
            self._revision = view.revision
            self._asking.ask("order", ListQueue(LIMIT, False), self._take, every=ASK_S)
            self._asking.ask("starts", ListQueue(LIMIT), self._take, every=ASK_S)
        else:
            self._asking.ask("starts", ListQueue(LIMIT), self._take, every=IDLE_S)
        job = self._job
        if job is not None and not self._panel.has_class("hidden"):
            self._asking.ask("why", Why(job), partial(self._explained, job), every=ASK_S)

    def _explained(self, job: str, answer: dict[str, Any]) -> None:
        self._why = job, answer
        self._tell()

    def _take(self, answer: dict[str, Any]) -> None:
        """A newer queue; starts that it doesn't tell are those that were told before."""
        rows = queue.rows(answer)
        for key, row in rows.items():
            if row["expected"] is None and key in self._rows:
                row["expected"] = self._rows[key]["expected"]
        self._answer, self._rows = answer, rows

    @on(Grid.Moved, "#queue")
    def _another(self) -> None:
        if not self._panel.has_class("hidden"):
            self._tell()
            self._ask(self.app.view)

    @on(Grid.Opened, "#queue")
    def _open(self, event: Grid.Opened) -> None:
        if (row := self._table.doc(event.key)) is not None:
            self.app.open_job(row["id"], "why")

    # ── keys ──

    def action_why(self) -> None:
        self._panel.toggle_class("hidden")
        self.refresh_view()

    @property
    def _chosen(self) -> tuple[str, ...]:
        """The jobs of the rows that an action is for, each once."""
        rows = (self._table.doc(key) for key in self._grid.chosen)
        return tuple(dict.fromkeys(row["id"] for row in rows if row))

    def action_priority(self) -> None:
        self.app.act.priority(self._chosen)

    def action_hold(self) -> None:
        self.app.act.hold(self._chosen)

    def action_stop(self) -> None:
        self.app.act.stop(self._chosen)

    def action_yank(self) -> None:
        chosen = [it for key in self._grid.chosen if (it := self._table.doc(key))]
        self.app.yank("\n".join(f"{it['owner']}/{it['name']}" for it in chosen))
