"""All jobs: live ones first, each with the one line that says why it isn't simply running."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from flextui.screens import rows
from flextui.screens.place import Place
from flextui.screens.view import View
from flextui.screens.widgets.grid import Column, Grid

COLUMNS = (
    Column("id", least=4, most=9),
    Column("name", least=8, most=28),
    Column("owner", least=5, most=12, drop=4),
    Column("type", least=5, drop=6),
    Column("state", least=11, most=13),
    Column("tasks", least=5, right=True, drop=3),
    Column("node", least=5, most=18, drop=2),
    Column("gpus", least=4, right=True, drop=5),
    Column("age", least=4, right=True, drop=1),
    Column("reason", least=24, most=200),
)


NONE_YET = "no jobs yet. Press n: an example job is ready to submit"


class Jobs(Place):
    """One line a job."""

    KEYS = (
        "⏎ open  l logs  w why  s stop  r restart  e edit  n new job"
        "  1 fleet  / filter  : go to  ? help"
    )
    HELP = "Every job of the fleet. Enter opens its attempts and the reasons of its waits."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "logs", "logs"),
        Binding("w", "why", "why it waits"),
        Binding("s", "stop", "stop"),
        Binding("r", "restart", "restart"),
        Binding("e", "edit", "edit and submit again"),
        Binding("y", "yank", "yank the name"),
    ]

    def __init__(self) -> None:
        super().__init__("jobs")

    def content(self) -> ComposeResult:
        yield Grid(
            COLUMNS, empty="no jobs yet. Press n: an example job is ready to submit", id="jobs"
        )

    def home_focus(self) -> Grid:
        return self.query_one("#jobs", Grid)

    def show_view(self, view: View) -> None:
        shown = rows.keep(rows.job_rows(view.jobs.values(), self.app.clock()), self.pattern)
        empty = "nothing matches the filter" if view.jobs else NONE_YET
        self.home_focus().show(shown, empty)

    @on(Grid.Opened, "#jobs")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_job(event.key)

    def action_logs(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.open_logs(key)

    def action_why(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.open_job(key)

    def action_stop(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.act.stop(key)

    def action_restart(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.act.restart(key)

    def action_edit(self) -> None:
        if key := self.home_focus().cursor_key:
            self.app.edit_job(key)

    def action_yank(self) -> None:
        job = self.app.view.jobs.get(self.home_focus().cursor_key or "")
        self.app.yank(f"{job['owner']}/{job['name']}" if job else None)
