"""Problems: the screen of 3 a.m. Everything that is wrong now, and the key that does the next
step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult

from flextui.core.model.docs import ProblemDoc
from flextui.screens import format as fmt
from flextui.screens.fields import problems
from flextui.screens.keys import Key
from flextui.screens.line import Line
from flextui.screens.place import Place
from flextui.screens.table import Table
from flextui.screens.trail import Location
from flextui.screens.view import View
from flextui.screens.widgets.grid import Grid, sort_keys
from flextui.screens.widgets.words import Words

if TYPE_CHECKING:
    from flextui.app import FlextuiApp

WELL = "nothing is wrong"


class Problems(Place):
    """A problem a line, the worst first; what is known of the one under the cursor below."""

    NAME = "problems"
    KEYS: ClassVar[tuple[Key, ...]] = (
        Key("next-step", "x", "do the next step: it asks first", short="next step"),
        Key("logs", "l", "what the job prints", short="logs", command="logs -f JOB"),
        Key("why", "w", "the job: its attempts, why it waits", short="job", command="why JOB"),
        Key("edit", "e", "edit the job and submit it again", short="edit", command="edit JOB"),
        Key("shell", "s", "a shell on the node", short="shell", command="shell NODE"),
        Key("drain", "d", "drain the node, or undrain", short="drain", command="drain NODE",
            acts=True),
        Key("cordon", "c", "cordon the GPU, or the node, or uncordon", short="cordon",
            command="cordon NODE", acts=True),
        Key("silence", "S", "silence it for a while, or hear of it again", short="silence",
            command="silence PROBLEM", acts=True),
        Key("group", "t", "group by how bad, kind, node"),
        Key("yank", "y", "yank the commands of the next steps", short="yank"),
        *sort_keys(problems.FIELDS),
    )  # fmt: skip
    OPENS = "open it"
    HELP = (
        "Everything that is wrong now: since when, whom it touches, the next step. x does that "
        "step. Notices (·) are to be known, not to be mended; the top line doesn't count them, nor "
        "what somebody has silenced because it is known."
    )
    LEGEND = (
        "✗ work is lost or stands still   ! it soon will, or GPUs are wasted   · to be known",
    )
    DEFAULT_CSS = """
    Problems #about { height: auto; max-height: 50%; padding: 0 1; background: $surface; }
    Problems #about.empty { display: none; }
    """

    def __init__(self, location: Location, app: FlextuiApp) -> None:
        super().__init__(location, "problems")
        self._table = Table(problems.FIELDS, order=problems.order, groups=problems.GROUPS,
                            ranks=problems.RANKS,
                            layout=app.layout("problems"))  # fmt: skip
        self._grid = Grid(self._table, empty=WELL, id="problems")
        self._about = Words(id="about")

    def content(self) -> ComposeResult:
        yield self._grid
        yield self._about

    def home_focus(self) -> Grid:
        return self._grid

    def show_view(self, view: View) -> None:
        self._table.sync(view.problems, self.app.now(), self.pattern)
        self._grid.show("nothing matches the filter" if view.problems else WELL)
        self._tell_about()

    @on(Grid.Moved, "#problems")
    def _tell_about(self) -> None:
        problem = self._here
        text = about(problem, self.app.chord(self.NAME, "next-step")) if problem else ""
        self._about.set_class(not text, "empty")
        self._about.say(text)

    @property
    def _here(self) -> ProblemDoc | None:
        return self._table.doc(self._grid.cursor_key or "")

    @property
    def _chosen(self) -> list[ProblemDoc]:
        return [it for key in self._grid.chosen if (it := self._table.doc(key))]

    # ── going there ──

    @on(Grid.Opened, "#problems")
    def _open(self, event: Grid.Opened) -> None:
        problem = self._table.doc(event.key)
        if problem is None:
            return
        if problem["job"] in self.app.view.jobs:
            self.app.open_job(problem["job"] or "")
        elif problem["node"] in self.app.view.nodes and problem["gpu"]:
            self.app.open_gpu(problem["node"] or "", problem["gpu"])
        elif problem["node"] in self.app.view.nodes:
            self.app.open_node(problem["node"] or "")
        else:
            self.app.tell(problem["next"])

    def _job(self) -> str | None:
        problem = self._here
        if problem is not None and problem["job"] in self.app.view.jobs:
            return problem["job"]
        self.app.tell("it is about no job that is there")
        return None

    def _node(self) -> str | None:
        problem = self._here
        if problem is not None and problem["node"] in self.app.view.nodes:
            return problem["node"]
        self.app.tell("it is about no node")
        return None

    def action_logs(self) -> None:
        if job := self._job():
            self.app.open_logs(job)

    def action_why(self) -> None:
        if job := self._job():
            self.app.open_job(job)

    def action_edit(self) -> None:
        if job := self._job():
            self.app.edit_job(job)

    # ── doing something about it ──

    def action_shell(self) -> None:
        if node := self._node():
            self.app.act.shell(node)

    def action_drain(self) -> None:
        self.app.act.drain(list(dict.fromkeys(it["node"] for it in self._chosen if it["node"])))

    def action_cordon(self) -> None:
        self.app.act.cordon(_devices(self._chosen))

    def action_silence(self) -> None:
        """Ask for how long and why; where all that is chosen is silenced, end that."""
        self.app.act.silence(self._chosen)

    def action_yank(self) -> None:
        lines = [f"flextui {it['command']}" for it in self._chosen if it["command"]]
        self.app.yank("\n".join(lines))

    def action_next_step(self) -> None:
        """What the line says; of several chosen ones, where all of them say the same."""
        chosen = self._chosen
        actions = {it["action"] for it in chosen}
        if len(actions) > 1:
            self.app.tell("they have different next steps: choose those that have the same")
            return
        if chosen:
            self._do(chosen[0], chosen)

    def _do(self, first: ProblemDoc, chosen: list[ProblemDoc]) -> None:
        act, nodes = self.app.act, list(dict.fromkeys(it["node"] or "" for it in chosen))
        match first["action"]:
            case "logs":
                self.action_logs()
            case "why":
                self.action_why()
            case "stop":
                act.stop(list(dict.fromkeys(it["job"] or "" for it in chosen)))
            case "cordon" | "uncordon" as word:
                act.cordon(_devices(chosen), on=word == "cordon")
            case "drain":
                act.drain(nodes, on=True)
            case "declare-lost":
                act.declare_lost(nodes)
            case "takeover":
                act.take_over(nodes)
            case "check":
                act.check(nodes)
            case "shell":
                self.action_shell()
            case "node" if node := self._node():
                self.app.open_node(node)
            case "usage":
                self.app.outside(Line(tuple(first["command"].split())), stay=True)
            case "jobs" | "queue":
                self.app.action_go(first["action"])
            case _:
                self.app.tell(first["next"])


def _devices(chosen: Sequence[ProblemDoc]) -> list[str]:
    """The GPUs, or where there are none the nodes, that problems are about, each once."""
    found = [f"{it['node']}:{it['gpu']}" if it["gpu"] else it["node"] or "" for it in chosen]
    return list(dict.fromkeys(found))


def about(problem: ProblemDoc, key: str) -> str:
    """All that is known of one problem, with the whole of what a line may have cut."""
    lines = [problem["what"]]
    if (quiet := problem["silenced"]) is not None:
        why = f": {quiet['why']}" if quiet["why"] else ""
        lines.append(f"silenced by {quiet['by']} until {fmt.both_times(quiet['until'])}{why}")
    touches = f"   touches {problem['touches']}" if problem["touches"] else ""
    lines.append(f"since {fmt.both_times(problem['since'])}{touches}")
    step = problem["next"]
    if problem["command"]:
        step = f"flextui {problem['command']}   {step}"
    lines.append(f"next [{key}] {step}" if key and problem["action"] else f"next {step}")
    return fmt.safe_lines("\n".join(lines))
