"""What `:` can reach: every screen, job and node by its name, and every command by its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flextui.core.commands import Scale, SetPriority
from flextui.screens.pace import SPEEDS, speed_of, word
from flextui.screens.trail import NotReached

if TYPE_CHECKING:
    from flextui.app import FlextuiApp
    from flextui.core.model.docs import JobDoc


@dataclass(frozen=True, slots=True)
class Verb:
    """A word, what may follow it, and what it does."""

    name: str
    word: str
    run: Callable[[str], None]
    of: Callable[[], Iterable[str]] | None = None
    """What its argument is chosen from; None: it has none."""
    needs: str = ""
    """What has to be typed after the argument."""
    listed: bool = False
    """Whether its arguments are offered before the verb is typed."""
    acts: bool = False


class Reach:
    """Bound to one app."""

    def __init__(self, app: FlextuiApp) -> None:
        self._app = app
        self.verbs: dict[str, Verb] = {it.name: it for it in self._verbs()}

    # ── what there is ──

    def scope(self, typed: str) -> str:
        """Typed words of one scope may become the same names."""
        verb = self._verb(typed)
        if verb is None or verb.of is None:
            return ""
        return f"{verb.name} {self._after(verb, typed)}"

    def names(self, typed: str = "") -> list[str]:
        """What the typed words may become: everything, or once a verb is typed its arguments."""
        verb = self._verb(typed)
        if verb is not None and verb.of is not None:
            after = self._after(verb, typed)
            return [f"{verb.name} {argument}{after}" for argument in verb.of()]
        found = list(self.verbs)
        for verb in self.verbs.values():
            if verb.listed and verb.of is not None:
                found += [f"{verb.name} {argument}" for argument in verb.of()]
        return found

    @staticmethod
    def _after(verb: Verb, typed: str) -> str:
        """The number at the end, for a verb that needs one."""
        last = _last(typed)
        return f" {last}" if verb.needs and last.isdigit() else ""

    def hint(self, text: str) -> str:
        """What the words do, or what is missing."""
        verb = self._verb(text) or self.verbs.get(text)
        if verb is None:
            return ""
        form = f"{verb.name}{' …' if verb.of else ''}{' ' + verb.needs if verb.needs else ''}"
        return f"{form}: {verb.word}"

    def go(self, text: str) -> None:
        """Do what the words say. Raises `NotReached`."""
        text = text.strip()
        verb = self._verb(text + " ")
        if verb is None:
            raise NotReached(f"nothing is called {text!r}")
        rest = text[len(verb.name) :].strip()
        if verb.of is not None and not rest:
            raise NotReached(self.hint(text))
        if not (verb.acts and self._app.refuses(text)):
            verb.run(rest)

    def _verb(self, typed: str) -> Verb | None:
        """The longest verb that the words begin with."""
        fits = [it for name, it in self.verbs.items() if typed.startswith(name + " ")]
        return max(fits, key=lambda it: len(it.name), default=None)

    # ── the verbs ──

    def _verbs(self) -> Sequence[Verb]:
        app = self._app
        go = app.action_go
        jobs, nodes = self._jobs, lambda: app.view.nodes
        return (
            Verb("fleet", "all nodes", lambda _: go("fleet")),
            Verb("jobs", "all jobs", lambda _: go("jobs")),
            Verb("gpus", "all GPUs of all nodes", lambda _: go("gpus")),
            Verb("events", "what happened", lambda _: go("events")),
            Verb("problems", "what is wrong now", lambda _: go("problems")),
            Verb("placement", "which job holds which GPU", lambda _: go("placement")),
            Verb("queue", "what waits for a place, in order", lambda _: go("queue")),
            Verb("revisions", "what was changed in a job", self._job(app.open_revisions), jobs),
            Verb("why", "why a job waits", self._job(lambda key: app.open_job(key, "why")), jobs),
            Verb("timeline", "a job's tasks over time",
                 self._job(lambda key: app.open_job(key, "timeline")), jobs),
            Verb("commands", "what was done here", lambda _: go("commands")),
            Verb("new job", "the editor", lambda _: app.action_new_job()),
            Verb("help", "the keys of this place", lambda _: app.action_help()),
            Verb("job", "its attempts and why it waits", self._job(app.open_job), jobs,
                 listed=True),
            Verb("logs", "what it prints", self._job(app.open_logs), jobs, listed=True),
            Verb("node", "its devices and processes", app.open_node, nodes, listed=True),
            Verb("gpu", "its charts and processes", self._open_gpu, self._gpus, listed=True),
            Verb("edit", "change a job and submit it again", self._job(app.edit_job), jobs),
            Verb("stop", "stop a job", self._job(lambda key: app.act.stop((key,))), jobs,
                 acts=True),
            Verb("restart", "restart a job", self._job(lambda key: app.act.restart((key,))), jobs,
                 acts=True),
            Verb("scale", "set how many replicas a service has", self._scale, jobs, "N",
                 acts=True),
            Verb("priority", "set a job's priority, 0 to 100", self._priority, jobs, "N",
                 acts=True),
            Verb("hold", "start nothing more of a job",
                 self._job(lambda key: app.act.hold((key,), on=True)), jobs, acts=True),
            Verb("release", "let a held job start again",
                 self._job(lambda key: app.act.hold((key,), on=False)), jobs, acts=True),
            Verb("declare-lost", "confirm that a silent node is gone",
                 lambda it: app.act.declare_lost((self._node(it),)), nodes, acts=True),
            Verb("takeover", "drive a node that another core drives",
                 lambda it: app.act.take_over((self._node(it),)), nodes, acts=True),
            Verb("check", "what of a node answers and what doesn't",
                 lambda it: app.act.check((self._node(it),)), nodes),
            Verb("shell", "a shell on a node", lambda it: app.act.shell(self._node(it)), nodes),
            Verb("exec", "a shell in a running attempt of a job", self._job(app.act.enter), jobs),
            Verb("drain", "empty a node",
                 lambda it: app.act.drain((self._node(it),), on=True), nodes, acts=True),
            Verb("undrain", "give a drained node work again",
                 lambda it: app.act.drain((self._node(it),), on=False), nodes, acts=True),
            Verb("cordon", "no new work for a node or GPU",
                 lambda it: app.act.cordon((self._device(it),), on=True), self._devices,
                 acts=True),
            Verb("uncordon", "new work for a node or GPU again",
                 lambda it: app.act.cordon((self._device(it),), on=False), self._devices,
                 acts=True),
            Verb("read-only", "acting keys off or on", lambda _: app.action_read_only()),
            Verb("theme", "colours", app.use_theme, lambda: sorted(app.available_themes)),
            Verb("ascii", "plain ASCII or not", app.use_ascii, lambda: ("on", "off")),
            Verb("slow line", "fewer repaints", app.use_slow, lambda: ("on", "off")),
            Verb("mouse", "off: the terminal's own selection", app.use_mouse,
                 lambda: ("on", "off")),
            Verb("speed", "how fast a simulated fleet's time goes", self._speed,
                 lambda: [word(it) for it in SPEEDS]),
            Verb("redraw", "draw everything anew", lambda _: app.action_redraw()),
            Verb("quit", "leave flextui", lambda _: app.action_leave_now()),
        )  # fmt: skip

    def _jobs(self) -> list[str]:
        jobs = sorted(self._app.view.jobs.values(), key=lambda j: j["submitted_at"], reverse=True)
        return [f"{job['owner']}/{job['name']} {job['id']}" for job in jobs]

    def _devices(self) -> list[str]:
        nodes = self._app.view.nodes.values()
        return [
            name
            for node in nodes
            for name in (node["name"], *(f"{node['name']}:{g['index']}" for g in node["gpus"]))
        ]

    def _gpus(self) -> list[str]:
        return [device for device in self._devices() if ":" in device]

    # ── their arguments ──

    def _open_gpu(self, text: str) -> None:
        self._app.open_gpu(*self._device(text).rsplit(":", 1))

    def _find(self, text: str) -> JobDoc:
        """A job by id, owner/name, name, or `owner/name id`."""
        for words in (_last(text), text):
            if job := self._app.view.job_named(words):
                return job
        raise NotReached(f"no job is called {text!r}")

    def _job(self, run: Callable[[str], object]) -> Callable[[str], None]:
        def found(text: str) -> None:
            run(self._find(text)["id"])

        return found

    def _node(self, text: str) -> str:
        if text not in self._app.view.nodes:
            raise NotReached(f"no node is called {text!r}")
        return text

    def _device(self, text: str) -> str:
        if text not in self._devices():
            raise NotReached(f"no node or GPU is called {text!r}: gpu1, or gpu1:3")
        return text

    def _number(self, text: str, verb: str) -> tuple[str, int]:
        """`owner/name id N` → the job and N."""
        words, _, number = text.rpartition(" ")
        if not words or not number.isdecimal():
            raise NotReached(f"{verb} JOB N: a number is missing")
        return self._find(words)["id"], int(number)

    def _speed(self, text: str) -> None:
        speed = speed_of(text)
        if speed is None:
            raise NotReached(f"speed: one of {', '.join(word(it) for it in SPEEDS)}")
        if self._app.pace is None:
            raise NotReached("this fleet is real: only the time of `flextui --demo` can be changed")
        self._app.use_pace(speed)

    def _scale(self, text: str) -> None:
        job, count = self._number(text, "scale")
        self._app.act.run(Scale(job, count), f"scale {job} to {count}")

    def _priority(self, text: str) -> None:
        job, number = self._number(text, "priority")
        if number > 100:
            raise NotReached("priority: 0 to 100")
        self._app.act.run(SetPriority(job, number), f"priority {number} for {job}")


def _last(text: str) -> str:
    return text.rpartition(" ")[2]
