"""What was changed in a job: its specs one after the other, and what each changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult

from flextui.core.commands import CommandError, Revisions
from flextui.core.model.docs import RevisionDoc
from flextui.screens.fields import revisions
from flextui.screens.fields.yamltext import coloured
from flextui.screens.format import Span
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.sheet import Sheet

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

AGAINST = ("before", "newest", "whole")
WORDS = {
    "before": "compared with the one before it", "newest": "compared with the newest",
    "whole": "the spec itself",
}  # fmt: skip


class RevisionList(Place):
    """The list above, what the one under the cursor changed below."""

    NAME = "revisions"
    USES = ()
    KINDS = ("list", "sheet")
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("compare", "c", "compare with the one before, with the newest, or show it whole",
            short="compare …"),
        Key("edit", "e", "edit the job's spec, and submit it again", short="edit",
            command="submit FILE"),
        Key("yank", "y", "yank the spec", short="yank"),
        *sort_keys(revisions.FIELDS),
    )  # fmt: skip
    OPENS = "job"
    HELP = (
        "A service, a cron or a system job that is handed in again gets a new revision; a batch "
        "job a new run with an id of its own, so its owner's runs of that name are listed."
    )
    DEFAULT_CSS = """
    RevisionList #revisions { height: 2fr; }
    RevisionList #diff { height: 3fr; border-top: solid $foreground-muted; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self.job_id = location[1]
        job = app.view.jobs.get(self.job_id)
        super().__init__(location, f"jobs ▸ {job['name'] if job else self.job_id} ▸ diff")
        self._rows: dict[str, revisions.Row] = {}
        self._against = AGAINST[0]
        self._revision = -1
        self._table = Table(revisions.FIELDS, order=revisions.order, layout=app.layout("revisions"))
        self._grid = Grid(self._table, id="revisions")
        self._diff = Sheet(id="diff")

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._diff

    @property
    def chain(self) -> tuple[str, ...]:
        if self._filter.typing:
            return ("filter", "everywhere")
        return (self.NAME, "sheet" if self.focused is self._diff else "list", "everywhere")

    @classmethod
    def chains(cls) -> list[tuple[str, ...]]:
        return [(cls.NAME, kind, "everywhere") for kind in cls.KINDS]

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        job = view.jobs.get(self.job_id)
        now = job["revision"] if job else 0
        if now != self._revision:
            self._revision = now
            self._ask()
        self._table.sync(self._rows, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if self._rows else self.app.asking)

    @work(exclusive=True, group="revisions")
    async def _ask(self) -> None:
        client = self.app.client
        if client is None:
            self._revision = -1
            return
        try:
            answer = await client.call(Revisions(self.job_id))
        except CommandError as error:
            self.app.tell(str(error), bad=True)
            return
        except ConnectionError:
            self._revision = -1
            return
        self._rows = revisions.rows(cast(list[RevisionDoc], answer["revisions"]))
        self.app.changed()
        self.call_after_refresh(self._draw)

    @on(Grid.Moved, "#revisions")
    def _draw(self) -> None:
        row = self._table.doc(self._grid.cursor_key or "")
        width = max(20, self.app.size.width - 4)
        lines = [(Span("", "dim"),)]
        if row is not None and self._against == "whole":
            from flextui.screens.roaming import spec_text

            lines = coloured(spec_text(row.doc["spec"]))  # type: ignore[assignment]
        elif row is not None:
            newest = next(iter(self._rows.values())).doc
            old, new = (row.before, row.doc)
            if self._against == "newest":
                old, new = row.doc, newest
            lines = revisions.diff_lines(old, new, width)  # type: ignore[assignment]
        self._diff.show(len(lines), lambda at: lines[at])

    def action_compare(self) -> None:
        """The next thing that is shown below."""
        self._against = AGAINST[(AGAINST.index(self._against) + 1) % len(AGAINST)]
        self.app.tell(WORDS[self._against])
        self._draw()

    @on(Grid.Opened, "#revisions")
    def _open(self, event: Grid.Opened) -> None:
        self.app.open_job(event.key.partition(":")[0])

    def action_edit(self) -> None:
        self.app.edit_job(self.job_id)

    def action_yank(self) -> None:
        row = self._table.doc(self._grid.cursor_key or "")
        if row is not None:
            from flextui.screens.roaming import spec_text

            self.app.yank(spec_text(row.doc["spec"]), "the spec")
