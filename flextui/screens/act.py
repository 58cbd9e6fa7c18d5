"""What is done to jobs and nodes from the screens, on one or on many."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flextui.core.commands import (
    Command,
    Cordon,
    DeclareLost,
    Drain,
    Hold,
    Release,
    Restart,
    Scale,
    SetPriority,
    Silence,
    Stop,
    TakeOver,
    Unsilence,
    Unstop,
)
from flextui.core.model.docs import JobDoc, NodeDoc, ProblemDoc
from flextui.core.model.units import parse_duration
from flextui.screens.ask import Ask
from flextui.screens.door import Deed, Door
from flextui.screens.effects import END, full, of_drain, of_jobs, of_loss, of_others
from flextui.screens.format import live_attempts
from flextui.screens.line import Line
from flextui.screens.number import Number

MANY = 10
"""From more than so many on, or where somebody else's are among them, y isn't enough."""
MOST_REPLICAS = 10_000


class Actions(Door):
    """Selections in, questions and commands out. Several are called by their number."""

    # ── jobs ──

    def stop(self, ids: Sequence[str]) -> None:
        """Ask, then stop the jobs of these that haven't ended; for a while it can be undone."""
        jobs = self._live(ids)
        if not jobs:
            return
        keys, wait = _ids(jobs), self._grace_s
        deed = Deed(f"stop {_which(jobs)}", [Stop(keys, after_s=wait)])
        if wait:
            deed = Deed(deed.word, deed.commands, [Unstop(keys)], [Stop(keys)])
        runs = any(map(live_attempts, jobs))
        self._ask_jobs("Stop", jobs, END if runs else "It only leaves the queue.", deed)

    @property
    def _grace_s(self) -> float:
        """Seconds of the core's time in which a stop or a drain can be taken back: the simulated
        time of a demo may go faster than ours."""
        pace = self._app.pace
        return self._app.look.undo_s * (max(1.0, pace.speed) if pace is not None else 1.0)

    def restart(self, ids: Sequence[str]) -> None:
        """Ask, then restart the tasks of jobs."""
        if jobs := self._jobs(ids):
            deed = Deed(f"restart {_which(jobs)}", [Restart(_ids(jobs))])
            runs = any(map(live_attempts, jobs))
            effect = f"{END} Then they start anew." if runs else "It starts anew."
            self._ask_jobs("Restart", jobs, effect, deed)

    def hold(self, ids: Sequence[str], on: bool | None = None) -> None:
        """Hold jobs back, or release them; None: release them when all of them are held. What runs
        goes on, so no question."""
        if jobs := self._live(ids):
            if on is None:
                on = not all(job.get("held") for job in jobs)
            if on:
                self._do(Deed(f"hold {_which(jobs)}", [Hold(_ids(jobs))]))
            else:
                self._do(Deed(f"release {_which(jobs)}", [Release(_ids(jobs))]))

    def priority(self, ids: Sequence[str]) -> None:
        """Ask for a number, then give it to these jobs."""
        if jobs := self._live(ids):
            self._ask_number("Priority", "0 to 100; higher goes first", jobs, jobs[0]["priority"],
                             100, lambda job, n: SetPriority(job["id"], n))  # fmt: skip

    def scale(self, ids: Sequence[str]) -> None:
        """Ask for a number, then have so many replicas of these services."""
        jobs = [job for job in self._jobs(ids) if job["type"] == "service" and not job["ended_at"]]
        if not jobs:
            self._app.tell("only a live service has replicas")
            return
        self._ask_number("Replicas", "those beyond are stopped", jobs, jobs[0]["count"],
                         MOST_REPLICAS, lambda job, n: Scale(job["id"], n))  # fmt: skip

    def _ask_number(
        self,
        what: str,
        detail: str,
        jobs: list[JobDoc],
        now: int,
        most: int,
        command: Callable[[JobDoc, int], Command],
    ) -> None:
        if self._app.refuses(f"{what.lower()} of {_which(jobs)}"):
            return

        def answered(number: int | None) -> None:
            if number is not None:
                word = f"{what.lower()} of {_which(jobs)}: {number}"
                self._start(Deed(word, [command(job, number) for job in jobs]))

        question = f"{what} of {full(jobs[0]) if len(jobs) == 1 else _which(jobs)}"
        self._app.push_screen(Number(question, detail, now, 0, most), answered)

    def _jobs(self, ids: Sequence[str]) -> list[JobDoc]:
        known = self._app.view.jobs
        return [known[key] for key in ids if key in known]

    def _live(self, ids: Sequence[str]) -> list[JobDoc]:
        """Those that haven't ended; where there are none, that is told."""
        jobs = [job for job in self._jobs(ids) if not job["ended_at"]]
        if not jobs:
            self._app.tell("it has ended already" if len(ids) == 1 else "they have all ended")
        return jobs

    def _ask_jobs(self, verb: str, jobs: list[JobDoc], effect: str, deed: Deed) -> None:
        me = self._app.info.user if self._app.info else ""
        detail = of_jobs(jobs, effect, self._app.view)
        question = f"{verb} {full(jobs[0]) if len(jobs) == 1 else _which(jobs)}?"
        self._ask(question, detail, deed, self._typed(jobs, me), of_others(jobs, me))

    @staticmethod
    def _typed(jobs: list[JobDoc], me: str) -> str:
        """The number, where they are many or somebody else's are among several."""
        others = len(jobs) > 1 and any(job["owner"] != me for job in jobs)
        return str(len(jobs)) if others or len(jobs) > MANY else ""

    # ── problems ──

    def silence(self, problems: Sequence[ProblemDoc]) -> None:
        """Ask for how long and why, then hear no more of these; where all of them are silenced,
        hear of them again."""
        loud = tuple(it["id"] for it in problems if it["silenced"] is None)
        which = problems[0]["what"] if len(problems) == 1 else f"{len(problems)} problems"
        if not problems or self._app.refuses(f"silencing {which}"):
            return
        if not loud:
            ids = tuple(it["id"] for it in problems)
            self._start(Deed("hear of it again", [Unsilence(ids)]))
            return

        def taken(text: str | None) -> None:
            if text is not None:
                seconds, why = silence_of(text)
                self._start(Deed("silenced", [Silence(loud, seconds, why)], done="silenced"))

        detail = "so long, and why: 3d new board on Thursday. It is heard of again if it gets worse"
        self._app.push_screen(Ask(f"Silence {which}?", detail, "8h ", wrong_silence), taken)

    # ── nodes ──

    def drain(self, names: Sequence[str], on: bool | None = None) -> None:
        """Ask, then drain or undrain; None: undrain when all of them are drained already."""
        docs = self._nodes(names)
        if not docs:
            return
        if on is None:
            on = not all(doc["drained"] for doc in docs)
        which = docs[0]["name"] if len(docs) == 1 else f"{len(docs)} nodes"
        meant = [doc["name"] for doc in docs if doc["drained"] is not on]
        if not meant:
            self._app.tell(f"{which}: {'drained already' if on else 'not drained'}")
            return
        if not on:
            deed = Deed(f"undrain {which}", [Drain(name, False) for name in meant])
            self._ask(f"Undrain {which}?", "New work may go there again.", deed)
            return
        wait = self._grace_s
        deed = Deed(f"drain {which}", [Drain(name, after_s=wait) for name in meant])
        if wait:
            undo = [Drain(name, False) for name in meant]
            deed = Deed(deed.word, deed.commands, undo, [Drain(name) for name in meant])
        busy = any(doc["jobs"] for doc in docs)
        self._ask(f"Drain {which}?", of_drain(self._app.view, docs), deed, which if busy else "")

    def cordon(self, devices: Sequence[str], on: bool | None = None) -> None:
        """Cordon nodes (`gpu1`) or GPUs (`gpu1:3`), or uncordon them; None: uncordon when all are
        cordoned. What runs goes on, so no question."""
        out = {device: self._cordoned(device) for device in devices}
        known = [device for device, it in out.items() if it is not None]
        if not known:
            return
        if on is None:
            on = not all(out[device] for device in known)
        commands: list[Command] = []
        for device in known:
            if out[device] is not on:
                node, _, gpu = device.partition(":")
                commands.append(Cordon(node, gpu or None, on))
        which = known[0] if len(known) == 1 else f"{len(known)}"
        if not commands:
            self._app.tell(f"{which}: {'cordoned already' if on else 'not cordoned'}")
            return
        self._do(Deed(f"{'cordon' if on else 'uncordon'} {which}", commands))

    def _cordoned(self, device: str) -> bool | None:
        name, _, index = device.partition(":")
        node = self._app.view.nodes.get(name)
        if node is None:
            return None
        if not index:
            return node["cordoned"]
        return any(str(g["index"]) == index and g["cordoned"] for g in node["gpus"])

    def declare_lost(self, names: Sequence[str]) -> None:
        """Ask, then vouch that silent nodes are gone."""
        docs = [doc for doc in self._nodes(names) if doc["state"] not in ("ready", "observed")]
        if not docs:
            self._app.tell("it answers: drain or cordon it instead")
            return
        which = docs[0]["name"] if len(docs) == 1 else f"{len(docs)} nodes"
        deed = Deed(f"declare {which} lost", [DeclareLost(doc["name"]) for doc in docs])
        self._ask(f"Declare {which} lost?", of_loss(self._app.view, docs), deed, which)

    def take_over(self, names: Sequence[str]) -> None:
        """Ask, then become the driver of nodes that another core drives."""
        docs = [doc for doc in self._nodes(names) if doc["state"] == "observed"]
        if not docs:
            self._app.tell("no other core drives it")
            return
        which = docs[0]["name"] if len(docs) == 1 else f"{len(docs)} nodes"
        drivers = ", ".join(sorted({doc["driver"] or "another core" for doc in docs}))
        detail = f"{drivers} is fenced off: it can start and stop nothing there any more."
        deed = Deed(f"take {which} over", [TakeOver(tuple(doc["name"] for doc in docs))])
        self._ask(f"Take {which} over?", detail, deed, which)

    def _nodes(self, names: Sequence[str]) -> list[NodeDoc]:
        known = self._app.view.nodes
        return [known[name] for name in names if name in known]

    # ── in this terminal ──

    def check(self, names: Sequence[str]) -> None:
        """See what of these nodes answers and what doesn't."""
        if docs := self._nodes(names):
            self._app.outside(Line(("check", *(doc["name"] for doc in docs))), stay=True)

    def shell(self, node: str) -> None:
        """A shell on a node, in this terminal, and back."""
        if node in self._app.view.nodes:
            self._enter(f"a shell on {node}", Line(("shell", node)))

    def enter(self, job_id: str, attempt: str | None = None) -> None:
        """A shell in a running attempt of a job, in this terminal, and back."""
        jobs = self._live([job_id])
        if jobs:
            task = f":{attempt.split('.')[1]}" if attempt else ""
            self._enter(f"a shell in {_which(jobs)}", Line(("exec", f"{job_id}{task}")))

    def _enter(self, word: str, said: Line) -> None:
        if self._app.refuses(word):
            return
        if self._app.client is None:
            self._app.tell(f"{word}: no core is in reach; nothing was done", bad=True)
        else:
            self._app.outside(said)


def silence_of(text: str) -> tuple[float, str]:
    """`8h known` → the seconds and the reason. Raises ValueError."""
    span, _, why = text.strip().partition(" ")
    return parse_duration(span), why.strip()


def wrong_silence(text: str) -> str:
    """What is the matter with it; "" if nothing."""
    try:
        silence_of(text)
    except ValueError as error:
        return f"{error}: a duration first, then why"
    return ""


def _ids(jobs: Sequence[JobDoc]) -> tuple[str, ...]:
    return tuple(job["id"] for job in jobs)


def _which(jobs: Sequence[JobDoc]) -> str:
    return f"{jobs[0]['owner']}/{jobs[0]['name']}" if len(jobs) == 1 else f"{len(jobs)} jobs"
