"""One job: its tasks and attempts, and for what waits, the whole reason."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from flextui.core.commands import CommandError, Why
from flextui.core.model.docs import JobDoc
from flextui.screens import format as fmt
from flextui.screens.fields.jobs import ATTEMPTS, tries
from flextui.screens.fleet import SIGNS
from flextui.screens.keys import Key
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.waiting import expected_text, factor_text
from flextui.screens.widgets.grid import Grid, sort_keys

if TYPE_CHECKING:
    from flextui.app import FlextuiApp


class Job(Place):
    """Attempts above, facts and reasons below."""

    NAME = "job"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("logs", "l, right", "what the attempt prints", command="logs -f JOB"),
        Key("stop", "s", "stop", short="stop", command="stop JOB", acts=True),
        Key("restart", "r", "restart", short="restart", command="restart JOB", acts=True),
        Key("edit", "e", "edit and submit again", short="edit", command="submit FILE"),
        Key("yank", "y", "yank the name", short="yank"),
        *sort_keys(ATTEMPTS),
    )
    OPENS = "logs"
    HELP = "The job's tasks with every attempt made, newest first, and why it waits."
    LEGEND = SIGNS
    DEFAULT_CSS = """
    Job #facts { height: auto; max-height: 50%; padding: 0 1 1 1; }
    Job #why { height: auto; max-height: 45%; padding: 1 1 0 1; background: $surface; }
    Job #why.empty { display: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        self.job_id = location[1]
        job = app.view.jobs.get(self.job_id)
        super().__init__(location, f"jobs ▸ {job['name'] if job else self.job_id}")
        self._asked = -1.0
        self._table = Table(ATTEMPTS, layout=app.layout("job"))
        self._facts = Static(id="facts", markup=False)
        self._grid = Grid(self._table, empty="no attempt yet", id="attempts")
        self._reasons = Static(id="reasons", markup=False)
        self._why = VerticalScroll(self._reasons, id="why", classes="empty")

    def content(self) -> ComposeResult:
        yield self._facts
        yield self._grid
        yield self._why

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        job = view.jobs.get(self.job_id)
        if job is None:
            self._facts.update(f"{self.job_id} has left the view: flextui show {self.job_id}")
            return
        self._facts.update(facts(job, self.app.now()))
        self._table.sync(tries(job), self.app.now(), self.pattern)
        self._grid.show()
        waits = any(t["state"] == "pending" for t in job["tasks"]) and not job["ended_at"]
        if waits and time.monotonic() - self._asked > 1.0:
            self._asked = time.monotonic()
            self._ask_why()
        elif not waits:
            self._explain(last_words(job))

    def _explain(self, text: str) -> None:
        text = fmt.safe_lines(text)
        self._why.set_class(not text, "empty")
        if text != self._reasons.content:
            self._reasons.update(text)

    @work(exclusive=True, group="why")
    async def _ask_why(self) -> None:
        client = self.app.client
        if client is None:
            return
        try:
            answer = await client.call(Why(self.job_id))
        except (CommandError, ConnectionError):
            return
        self._explain(why_text(answer))

    def on_grid_opened(self) -> None:
        self.action_logs()

    def action_logs(self) -> None:
        key = self._grid.cursor_key or ""
        self.app.open_logs(self.job_id, key if key.count(".") == 2 else None)

    def action_stop(self) -> None:
        self.app.act.stop((self.job_id,))

    def action_restart(self) -> None:
        self.app.act.restart((self.job_id,))

    def action_edit(self) -> None:
        self.app.edit_job(self.job_id)

    def action_yank(self) -> None:
        job = self.app.view.jobs.get(self.job_id)
        self.app.yank(f"{job['owner']}/{job['name']}" if job else None)


def facts(job: JobDoc, now: float) -> str:
    """Two lines: what it is, what it asked for."""
    state = fmt.plain(fmt.state_cell(job["state"]))
    head = f"{job['owner']}/{job['name']}  {state}  {job['type']}  rev {job['revision']}"
    head += f"  submitted {fmt.age(job['submitted_at'], now)} ago"
    if job["reason"] and job["state"] != "pending":  # else the panel below says it whole
        head += f"\n{job['reason']}"
    wants = job["resources"]
    parts = [f"cpus {wants.get('cpus', '–')}"]
    if wants.get("gpus"):
        model = "|".join(wants.get("gpu_model") or ()) or "any model"
        parts.insert(0, f"{wants['gpus']} GPUs ({model})")
    if wants.get("memory"):
        memory = wants["memory"]
        parts.append(f"memory {fmt.size(memory) if isinstance(memory, int) else memory}")
    parts.append(f"priority {job['priority']}")
    if job["type"] == "service":
        parts.append(f"count {job['count']}")
    return fmt.safe_lines(head + "\nasks for " + " · ".join(parts))


def last_words(job: JobDoc) -> str:
    """The end of the output of tasks that failed, as it was recorded with their exit."""
    lines: list[str] = []
    for task in job["tasks"]:
        if task["attempts"] and (words := task["attempts"][-1]["last_lines"]):
            lines.append(f"last lines of {task['attempts'][-1]['id']}:")
            lines += [f"  {fmt.safe(line)}" for line in words.splitlines()]
    return "\n".join(lines)


def why_text(answer: dict[str, Any]) -> str:
    """The explanation as a page: what blocks, who holds it, what would help."""
    lines: list[str] = []
    for task in answer.get("tasks", []):
        if task.get("state") != "pending":
            continue
        lines.append(f"task {task['index']} waits: {task['summary']}")
        lines += [f"  {line}" for line in waiting_lines(task)]
    return "\n".join(lines)


def waiting_lines(task: dict[str, Any]) -> list[str]:
    """Why a task waits: its place, its start, what is in the way and what would help."""
    lines: list[str] = []
    if task.get("position"):
        of = f" of {task['waiting']}" if task.get("waiting") else ""
        factors = ", ".join(factor_text(it) for it in task.get("factors") or ())
        lines.append(
            f"place {task['position']}{of} in the queue" + (f": {factors}" if factors else "")
        )
        if task.get("behind"):
            lines.append(f"  {task['behind']}")
    if start := expected_text(task.get("expected"), time.time()):
        lines.append(f"start {start}")
    lines += [block_line(block) for block in task.get("blocks", [])]
    return lines + [f"would start {hint}" for hint in task.get("would_help", [])]


def block_line(block: dict[str, Any]) -> str:
    """One thing in the way, on one line."""
    nodes = block.get("nodes") or []
    where = f"{nodes[0]} +{len(nodes) - 1}" if len(nodes) > 2 else " ".join(nodes)
    line = f"{where:<14} {block['text']}"
    unnamed = [name for name in block.get("held_by") or () if name not in block["text"]]
    if unnamed:
        line += f"   held by {', '.join(unnamed[:4])}"
    return line + (f", clears {block['clears']}" if block.get("clears") else "")
