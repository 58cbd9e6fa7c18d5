"""Write a job, see mistakes as you type and where it would go, submit it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static, TextArea

from flextui.core.commands import CommandError, Plan, Source, Submit
from flextui.core.model.problems import BadInput
from flextui.screens.format import safe_lines
from flextui.screens.fields.why import text_lines
from flextui.screens.keys import Bound, Key
from flextui.screens.place import Place
from flextui.screens.trail import Location

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

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

    NAME = "editor"
    USES = ()
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("submit", "ctrl+s", "submit", short="submit", command="submit FILE", acts=True,
            typing=True),
        Key("side", "ctrl+o", "to the plan and back", short="to the plan", typing=True),
    )  # fmt: skip
    HELP = "A job spec in YAML. What is wrong shows at its line as you type."
    DEFAULT_CSS = """
    Editor #text { width: 3fr; border: none; padding: 0; }
    Editor #side { width: 2fr; padding: 0 1; border-left: tall $surface-lighten-2; }
    Editor #verdict { height: auto; text-style: bold; margin-bottom: 1; }
    Editor.narrow #row { layout: vertical; }
    Editor.narrow #text { width: 1fr; height: 2fr; }
    Editor.narrow #side { width: 1fr; height: 1fr; border: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        job = app.view.jobs.get(location[1])
        super().__init__(location, f"edit ▸ {job['name'] if job else location[1] or 'new job'}")
        self._draft = location[1]
        self._valid = False
        self._text = TextArea(
            app.drafts.get(self._draft, EXAMPLE), id="text", show_line_numbers=True,
            tab_behavior="indent",
        )  # fmt: skip
        self._text.cursor_blink = False
        self._verdict = Static(id="verdict", markup=False)
        self._outcome = Static(id="plan", markup=False)

    def content(self) -> ComposeResult:
        with Horizontal(id="row"):
            yield self._text
            with VerticalScroll(id="side"), Vertical():
                yield self._verdict
                yield self._outcome

    def home_focus(self) -> TextArea:
        return self._text

    def on_mount(self) -> None:
        super().on_mount()
        self.set_class(self.app.size.width < 100, "narrow")
        self._check()

    def on_resize(self) -> None:
        self.set_class(self.app.size.width < 100, "narrow")

    @on(TextArea.Changed, "#text")
    def _changed(self) -> None:
        self.app.drafts[self._draft] = self._text.text
        self._check()

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        from flextui.core.model.spec import read_specs  # slow to import: not before it is needed

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
        self._outcome.update(safe_lines(text))

    def action_side(self) -> None:
        side = self.query_one("#side")
        self.set_focus(self.home_focus() if side.has_focus else side)

    def action_filter(self) -> None:
        """There is no list here."""

    def offers(self, bound: Bound) -> bool:
        return super().offers(bound) and bound.key.name not in ("filter", "goto", "help")

    def action_submit(self) -> None:
        if not self._valid:
            self.app.tell("mend the problems first; nothing was submitted", bad=True)
            return
        self._submit()

    @work(exclusive=True, group="submit")
    async def _submit(self) -> None:
        command = Submit((Source("editor", self._text.text),))
        answer = await self.app.act.call(command, "submit")
        if answer is None:
            return  # that was told, and the text is kept
        jobs = answer["jobs"]
        self.app.drafts.pop(self._draft, None)
        self.app.tell("submitted " + ", ".join(f"{j['name']} ({j['id']})" for j in jobs))
        self.app.go_up()
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
    return lines + [f"    {line}" for line in text_lines(task.get("why") or task, 60, time.time())]
