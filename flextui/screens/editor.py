"""Write a job, see mistakes as you type and where it would go, submit it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static, TextArea

from flextui.core.commands import CommandError, Plan, Source, Submit
from flextui.core.model.problems import BadInput
from flextui.core.model.spec import read_specs
from flextui.screens.job import block_line
from flextui.screens.place import Place

EXAMPLE = """\
# An example, ready to submit: press Ctrl-s.
name: hello
run: |
  echo "hello from $(hostname), task $FLEXTUI_TASK, GPUs: ${CUDA_VISIBLE_DEVICES:-none}"
  for i in $(seq 1 20); do echo "step $i of 20"; sleep 1; done
resources: {cpus: 1}
time_limit: 10m
"""


class Editor(Place):
    """The text on the left, on the right its problems or where it would go now."""

    KEYS = "^s submit  ^o to the plan  esc back (the text is kept)"
    HELP = "A job spec in YAML. What is wrong shows at its line as you type."
    DEFAULT_CSS = """
    Editor #text { width: 3fr; border: none; padding: 0; }
    Editor #side { width: 2fr; padding: 0 1; border-left: tall $surface-lighten-2; }
    Editor #verdict { height: auto; text-style: bold; margin-bottom: 1; }
    Editor.narrow #row { layout: vertical; }
    Editor.narrow #text { width: 1fr; height: 2fr; }
    Editor.narrow #side { width: 1fr; height: 1fr; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", "submit", priority=True),
        Binding("ctrl+o", "side", "to the plan and back", priority=True),
    ]

    def __init__(self, text: str | None = None, name: str = "new job") -> None:
        super().__init__(f"edit ▸ {name}")
        self._first = text
        self._valid = False
        self._verdict = Static(id="verdict", markup=False)
        self._outcome = Static(id="plan", markup=False)

    def content(self) -> ComposeResult:
        text = self.app.draft if self._first is None else self._first
        with Horizontal(id="row"):
            yield TextArea(text, id="text", show_line_numbers=True, tab_behavior="indent")
            with VerticalScroll(id="side"), Vertical():
                yield self._verdict
                yield self._outcome

    def home_focus(self) -> TextArea:
        return self.query_one("#text", TextArea)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_class(self.app.size.width < 100, "narrow")
        self._check()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width < 100, "narrow")

    @on(TextArea.Changed, "#text")
    def _changed(self) -> None:
        self.app.draft = self.home_focus().text
        self._check()

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        text = self.home_focus().text
        try:
            specs = read_specs(text, "editor")
        except BadInput as bad:
            self._valid = False
            count = len(bad.problems)
            self._say(f"✗ {count} problem{'s' if count > 1 else ''}", problems_text(bad))
            return
        self._valid = True
        names = ", ".join(spec.name for spec in specs)
        self._say(f"✓ valid: {names}", "asking where it would go …")
        await self._plan(text, names)

    async def _plan(self, text: str, names: str) -> None:
        client = self.app.client
        if client is None:
            return
        try:
            answer = await client.call(Plan((Source("editor", text),)))
        except (CommandError, ConnectionError) as error:
            self._say(f"✓ valid: {names}", str(error))
            return
        self._say(f"✓ valid: {names}", plan_text(answer))

    def _say(self, verdict: str, text: str) -> None:
        self._verdict.update(verdict)
        self._outcome.update(text)

    def action_side(self) -> None:
        side = self.query_one("#side")
        (self.home_focus() if side.has_focus else side).focus()

    def action_filter(self) -> None:
        """`/` is a letter here."""

    def action_submit(self) -> None:
        if not self._valid:
            self.app.tell("mend the problems first; nothing was submitted", bad=True)
            return
        self._submit()

    @work(exclusive=True, group="submit")
    async def _submit(self) -> None:
        client = self.app.client
        if client is None:
            self.app.tell("no core is in reach; the text is kept", bad=True)
            return
        try:
            answer = await client.call(Submit((Source("editor", self.home_focus().text),)))
        except (CommandError, ConnectionError) as error:
            self.app.tell(f"not submitted: {error}", bad=True)
            return
        jobs = answer["jobs"]
        self.app.draft = EXAMPLE
        self.app.tell("submitted " + ", ".join(f"{j['name']} ({j['id']})" for j in jobs))
        self.app.pop_screen()
        if len(jobs) == 1:
            self.app.open_job(jobs[0]["id"])


def problems_text(bad: BadInput) -> str:
    """Each problem at its line and column, with the mend."""
    parts = []
    for problem in bad.problems:
        text = f"{problem.line}:{problem.column}  {problem.message}"
        if problem.expected:
            text += f"\n      expected {problem.expected}"
        if problem.nearest:
            text += f"\n      did you mean {problem.nearest!r}?"
        parts.append(text)
    return "\n".join(parts)


def plan_text(answer: dict[str, Any]) -> str:
    """Where each task would go now, or why it would wait."""
    lines: list[str] = []
    for job in answer.get("jobs", []):
        lines.append(f"{job['name']}: {job.get('action', 'new')}")
        for task in job.get("tasks", []):
            lines += task_lines(task)
        lines += [f"  ! {warning}" for warning in job.get("warnings", [])]
    return "\n".join(lines)


def task_lines(task: dict[str, Any]) -> list[str]:
    """One task of a plan."""
    if task.get("node"):
        gpus = f", {len(task['gpus'])} GPUs" if task.get("gpus") else ""
        return [f"  now would go to {task['node']}{gpus}"]
    lines = [f"  would wait: {task.get('reason') or task.get('summary', '')}"]
    lines += ["    " + block_line(block) for block in task.get("blocks", [])]
    return lines + [f"    would start {hint}" for hint in task.get("would_help", [])]
