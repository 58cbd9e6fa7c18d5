"""All jobs: live ones first, each with the one line that says why it isn't simply running."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.screens.fields import jobs
from flextui.screens.fields.use import Use
from flextui.screens.fleet import SIGNS
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.footnote import Footnote
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

NONE_YET = "no jobs yet. Press n: an example job is ready to submit"


class Jobs(Place):
    """One line a job."""

    NAME = "jobs"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("logs", "l", "what it prints", short="logs", command="logs -f JOB"),
        Key("why", "w", "why it waits, and its attempts", short="why", command="why JOB"),
        Key("stop", "s", "stop", short="stop", command="stop JOB...", acts=True),
        Key("restart", "r", "restart", short="restart", command="restart JOB...", acts=True),
        Key(
            "priority",
            "p",
            "set the priority",
            short="priority",
            command="priority JOB 50",
            acts=True,
        ),
        Key("scale", "c", "set how many replicas a service has", command="scale JOB 3", acts=True),
        Key("hold", "H", "hold back, or release", command="hold JOB...", acts=True),
        Key("enter-it", "x", "a shell in a running attempt", short="shell", command="exec JOB"),
        Key("edit", "e", "change it, or submit it again", short="edit", command="edit JOB"),
        Key("group", "t", "group by project, user, node, state", short="group"),
        Key("yank", "y", "yank the name"),
        *sort_keys(jobs.FIELDS),
    )
    HELP = "Every job of the fleet. Enter opens its attempts and the reasons of its waits."
    LEGEND = SIGNS

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "jobs")
        self._use = Use()
        self._table = Table(
            jobs.fields(self._use),
            order=jobs.order,
            groups=jobs.GROUPS,
            summary=jobs.summary,
            layout=app.layout("jobs"),
        )
        self._grid = Grid(self._table, empty=NONE_YET, id="jobs")
        self._about = Footnote()

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._about

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        self._use.take(view.nodes)
        self._table.sync(view.jobs, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if view.jobs else NONE_YET)
        self._tell_about()

    @on(Grid.Moved, "#jobs")
    def _tell_about(self) -> None:
        job = self._table.doc(self._grid.cursor_key or "")
        self._about.say(jobs.about(job, self.app.now()) if job else "")

    @on(Grid.Opened, "#jobs")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_job(event.key)

    def action_logs(self) -> None:
        if chosen := self._grid.chosen:
            self.app.open_logs(*chosen)

    def action_why(self) -> None:
        if key := self._grid.cursor_key:
            self.app.open_job(key)

    def action_stop(self) -> None:
        self.app.act.stop(self._grid.chosen)

    def action_restart(self) -> None:
        self.app.act.restart(self._grid.chosen)

    def action_priority(self) -> None:
        self.app.act.priority(self._grid.chosen)

    def action_scale(self) -> None:
        self.app.act.scale(self._grid.chosen)

    def action_hold(self) -> None:
        self.app.act.hold(self._grid.chosen)

    def action_enter_it(self) -> None:
        if key := self._grid.cursor_key:
            self.app.act.enter(key)

    def action_edit(self) -> None:
        if key := self._grid.cursor_key:
            self.app.edit_job(key)

    def action_yank(self) -> None:
        chosen = [it for key in self._grid.chosen if (it := self._table.doc(key))]
        self.app.yank("\n".join(f"{job['owner']}/{job['name']}" for job in chosen))
