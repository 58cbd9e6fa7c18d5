"""One job: its attempts, its tasks over time, why it waits, its spec, and what it uses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget

from flextui.core.commands import History, Show, Why
from flextui.core.model.docs import HistoryDoc, JobDoc
from flextui.screens import format as fmt
from flextui.screens.fields import charts, timeline, why
from flextui.screens.fields.jobs import ATTEMPTS, asks, tries
from flextui.screens.fields.use import Use
from flextui.screens.fields.yamltext import coloured
from flextui.screens.fleet import SIGNS
from flextui.screens.format import Cell, Span
from flextui.screens.inquiry import Inquiry
from flextui.screens.keys import Key
from flextui.screens.listing import Filter
from flextui.screens.sections import Sectioned
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.words import Words

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

ATTEMPT_KEYS = sort_keys(ATTEMPTS)


class Job(Sectioned):
    """Facts, and below them the part that was chosen."""

    NAME = "job"
    SECTIONS = ("attempts", "timeline", "why", "spec", "use")
    KINDS = ("attempts",)
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("logs", "l, right", "what the attempt prints", command="logs -f JOB"),
        Key("attempts", "a", "its attempts", "section('attempts')", command="show JOB"),
        Key("timeline", "t", "its tasks over time", "section('timeline')", command="show JOB"),
        Key("why", "w", "why it waits, all of it", "section('why')", command="why JOB"),
        Key("spec", "i", "its spec", "section('spec')", command="show JOB"),
        Key("use", "m", "what it uses: GPUs, CPUs, memory over its life", "section('use')",
            command="history --job JOB"),
        Key("revisions", "d", "what was changed: its specs, each compared with the one before",
            short="diff", command="revisions JOB"),
        Key("history", "h", "its events", command="events --job JOB"),
        Key("open-node", "N", "to the node of the attempt", command="nodes NODE"),
        Key("zoom", "z", "the timeline: all of it, or the last day, hours, minutes"),
        Key("stop", "s", "stop", short="stop", command="stop JOB", acts=True),
        Key("restart", "r", "restart", short="restart", command="restart JOB", acts=True),
        Key("priority", "p", "set the priority", command="priority JOB 50", acts=True),
        Key("scale", "c", "set how many replicas a service has", command="scale JOB 3", acts=True),
        Key("hold", "H", "hold back, or release", command="hold JOB", acts=True),
        Key("enter-it", "x", "a shell in the attempt", short="shell", command="exec JOB"),
        Key("edit", "e", "change it, or submit it again", short="edit", command="edit JOB"),
        Key("yank", "y", "yank the name; where the spec shows, the spec", short="yank"),
    )  # fmt: skip
    OPENS = "logs"
    HELP = (
        "The job's tasks with every attempt made, newest first, and why it waits. The parts have "
        "a key each; the same key again leads back to the attempts."
    )
    LEGEND = (*SIGNS, *timeline.LEGEND)
    DEFAULT_CSS = """
    Job #facts { height: auto; max-height: 50%; padding: 0 1; }
    Job #tabs { margin-top: 1; }
    Job #attempts { min-height: 2; max-height: 60%; }
    Job #attempts.alone { max-height: 100%; }
    Job #why { height: 1fr; min-height: 3; padding: 1 1 0 1; background: $surface; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self.job_id = location[1]
        job = app.view.jobs.get(self.job_id)
        title = f"jobs ▸ {job['name'] if job else self.job_id}"
        super().__init__(location, title, app, location[2] if len(location) > 2 else "")
        self._asking = Inquiry(app, self)
        self._stored: JobDoc | None = None
        self._answer: dict[str, Any] = {}
        self._past: HistoryDoc | None = None
        self._spec: tuple[object, list[Cell], str] = (None, [], "")
        self._zoomed = 0
        self._use = Use()
        self._table = Table(ATTEMPTS, layout=app.layout("job"))
        self._facts = Words(id="facts")
        self._grid = Grid(self._table, kind="attempts", empty="no attempt yet", id="attempts")
        self._reasons = Words(id="reasons")
        self._why = VerticalScroll(self._reasons, id="why", classes="empty")
        self._why.can_focus = False

    def content(self) -> ComposeResult:
        yield self._facts
        yield self._tabs
        yield self._grid
        yield self._why
        yield self._sheet

    def first_list(self) -> Grid:
        return self._grid

    def list_widgets(self) -> list[Widget]:
        return [self._grid]

    def _arrange(self) -> None:
        super()._arrange()
        self._why.display = self.listed and not self._why.has_class("empty")

    @property
    def doc(self) -> JobDoc | None:
        """The job as the view has it, or as the store has it when it ended long ago."""
        return self.app.view.jobs.get(self.job_id) or self._stored

    # ── drawing ──

    def show_view(self, view: View) -> None:
        job = self.doc
        if job is None:
            self._facts.say(f"asking for {self.job_id} …")
            self._ask_show()
            self._tabs.show((), "")
            return
        now = self.app.now()
        self._use.take(view.nodes)
        self._facts.say(facts(job, now, self._use, self.page_width))
        self._table.sync(tries(job, self._use), now, self.pattern)
        self._grid.show("nothing matches the filter" if job["tasks"] else "no attempt yet")
        if waits(job):
            self._ask_why()
        elif self.listed:
            self._explain(last_words(job))
        self.draw_sections(view)

    def draw_page(self, view: View) -> None:
        job, now, width = self.doc, self.app.now(), self.page_width
        if job is None:
            return
        if self.section == "timeline":
            self._draw_timeline(job, view, now)
            return
        if self.section == "use":
            self._asking.ask("use", History(job=self.job_id), self._take_use, every=5.0)
            live = {it["id"] for it in fmt.live_attempts(job)}
            fits, room = Filter(self.pattern).fits, self.size.height - 10
            lines = charts.job_lines(self._past, width, room, live, fits)
            self._sheet.show(len(lines), lambda at: lines[at])
            return
        if self.section == "spec":
            if self._spec[0] != _version(job):
                self._asking.ask("spec", Show(self.job_id), self._take_spec, every=1.0)
            lines = self._spec[1] or [(Span(self.app.asking, "dim"),)]
        else:
            lines = self._why_lines(job, width, now)
        self.show_lines(lines)

    def _why_lines(self, job: JobDoc, width: int, now: float) -> list[Cell]:
        if waits(job):
            lines = why.page(self._answer, None, width, now)
            return lines or [(Span(self.app.asking, "dim"),)]
        state = fmt.plain(fmt.state_cell(job["state"]))
        said: list[Cell] = [(Span(f"it doesn't wait: {state}", "bold"),)]
        if reason := fmt.job_reason(job):
            said += [(Span(line),) for line in fmt.wrapped(reason, width)]
        return said + [(Span(line),) for line in last_words(job).splitlines()]

    def _draw_timeline(self, job: JobDoc, view: View, now: float) -> None:
        span, fits = timeline.window(job, now, self._zoomed), Filter(self.pattern)
        width, nodes = self.page_width, view.nodes
        tasks = [
            task for task in job["tasks"]
            if fits.empty or fits.fits(f"{task['index']} {fmt.plain(timeline.tail(task, now))}")
        ]  # fmt: skip

        def line(at: int) -> Cell:
            if at == 0:
                return timeline.scale(span, width)
            return timeline.line(job, tasks[at - 1], span, width, now, nodes)

        self._sheet.show(len(tasks) + 1, line)

    def _explain(self, text: str) -> None:
        text = fmt.safe_lines(text)
        self._why.set_class(not text, "empty")
        self._why.display = self.listed and bool(text)
        self._grid.set_class(not text, "alone")
        self._grid.styles.height = len(self._table.keys) + 1 if text else "1fr"
        self._reasons.say(text)

    # ── what only the core knows ──

    def _ask_why(self) -> None:
        self._asking.ask("why", Why(self.job_id), self._take_why, every=1.0)

    def _take_why(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        lines = why.page(answer, None, self.page_width, self.app.now())
        self._explain("\n".join(fmt.plain(line) for line in lines))

    def _ask_show(self) -> None:
        """Of a job that ended long ago."""

        def missing(text: str) -> None:
            self._facts.say(fmt.safe_lines(f"{self.job_id}: {text}"))

        take = partial(self._take_spec, stored=True)
        self._asking.ask("show", Show(self.job_id), take, every=60.0, failed=missing)

    def _take_use(self, answer: dict[str, Any]) -> None:
        self._past = cast(HistoryDoc, answer)

    def _take_spec(self, answer: dict[str, Any], *, stored: bool = False) -> None:
        from flextui.screens.roaming import spec_text

        doc = cast(JobDoc, answer)
        text = spec_text(doc["spec"], doc)
        self._spec = (_version(doc), coloured(text), text)
        if stored:
            self._stored = doc
            self._top.place = f"jobs ▸ {doc['name']}"

    # ── keys ──

    @on(Grid.Opened, "#attempts")
    def _opened(self) -> None:
        self.action_logs()

    @property
    def _attempt(self) -> str | None:
        """The attempt under the cursor of their list."""
        key = self._grid.cursor_key or ""
        return key if self.listed and key.count(".") == 2 else None

    def action_logs(self) -> None:
        self.app.open_logs(self.job_id, self._attempt)

    def action_revisions(self) -> None:
        self.app.open_revisions(self.job_id)

    def action_history(self) -> None:
        self.app.open_events(job=self.job_id)

    def action_open_node(self) -> None:
        it = self._table.doc(self._grid.cursor_key or "")
        node = it.attempt["node"] if it and it.attempt else it.task["node"] if it else None
        if node in self.app.view.nodes:
            self.app.open_node(node or "")
        else:
            self.app.tell("it is on no node")

    def action_zoom(self) -> None:
        """The next span of the timeline."""
        self._zoomed = (self._zoomed + 1) % len(timeline.ZOOMS)
        if self.section != "timeline":
            self.action_section("timeline")
        self.app.tell(f"timeline: {timeline.ZOOMS[self._zoomed][0]}")
        self.refresh_view()

    def action_stop(self) -> None:
        self.app.act.stop((self.job_id,))

    def action_restart(self) -> None:
        self.app.act.restart((self.job_id,))

    def action_priority(self) -> None:
        self.app.act.priority((self.job_id,))

    def action_scale(self) -> None:
        self.app.act.scale((self.job_id,))

    def action_hold(self) -> None:
        self.app.act.hold((self.job_id,))

    def action_enter_it(self) -> None:
        self.app.act.enter(self.job_id, self._attempt)

    def action_edit(self) -> None:
        self.app.edit_job(self.job_id)

    def action_yank(self) -> None:
        job = self.doc
        if self.section == "spec" and self._spec[2]:
            self.app.yank(self._spec[2], "the spec")
        else:
            self.app.yank(f"{job['owner']}/{job['name']}" if job else None)


def _version(job: JobDoc) -> object:
    """What its spec depends on: a priority and replicas change without a revision."""
    return job["revision"], job["priority"], job["count"]


def waits(job: JobDoc) -> bool:
    """Whether something of it waits for a place."""
    return any(task["state"] == "pending" for task in job["tasks"]) and not job["ended_at"]


def facts(job: JobDoc, now: float, use: Use, width: int) -> str:
    """What it is, what it asked for, and what it does now."""
    state = fmt.plain(fmt.state_cell(job["state"]))
    head = f"{job['owner']}/{job['name']}  {job['id']}  {state}  {job['type']}"
    head += f"  rev {job['revision']}  submitted {fmt.age(job['submitted_at'], now)} ago"
    reason = fmt.job_reason(job, now)
    stops = reason != fmt.job_reason(job)
    if reason and (stops or job["state"] != "pending"):  # else the panel below says it whole
        head += f"\n{reason}"
    parts = [*asks(job), f"priority {job['priority']}"]
    if job["type"] == "service":
        parts.append(f"count {job['count']}")
    if job["project"]:
        parts.append(f"project {job['project']}")
    lines = [head, *fmt.flow([f"asks for {parts[0]}", *parts[1:]], width, " · ")]
    if runs := running(job, now, use):
        lines.append(runs)
    return fmt.safe_lines("\n".join(lines))


def running(job: JobDoc, now: float, use: Use) -> str:
    """Where it runs, since when, and how busy its GPUs are; empty for what doesn't run."""
    live = fmt.live_attempts(job)
    if not live:
        return ""
    nodes = list(dict.fromkeys(it["node"] for it in live))
    more = f" and {len(nodes) - 4} more" if len(nodes) > 4 else ""
    parts = [f"runs on {', '.join(nodes[:4])}{more}"]
    if starts := [at for it in live if (at := fmt.parse_time(it["started_at"])) is not None]:
        parts.append(f"for {fmt.long_span(max(0.0, now - min(starts)))}")
    if (found := use.job(job)) is not None:
        busy = "n/a" if found.busy is None else f"{found.busy:.0f}%"
        parts.append(f"GPUs busy {busy}, {fmt.size(found.used)} of {fmt.size(found.total)}")
    return " · ".join(parts)


def last_words(job: JobDoc) -> str:
    """The end of the output of tasks that failed, as it was recorded with their exit."""
    lines: list[str] = []
    for task in job["tasks"]:
        if task["attempts"] and (words := task["attempts"][-1]["last_lines"]):
            lines.append(f"last lines of {task['attempts'][-1]['id']}:")
            lines += [f"  {fmt.safe(line)}" for line in words.splitlines()]
    return "\n".join(lines)
