"""The problems of one core as everybody is shown them: found at most once a second, each since it
was first seen, and quiet for as long as somebody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from flextui.core.model.docs import ProblemDoc
from flextui.core.model.silences import Silence
from flextui.core.model.times import iso
from flextui.core.problems.find import find_steps, order
from flextui.core.problems.problem import RANK, Problem, Scene

EVERY_S = 1.0
SLICE_S = 0.005
"""So long it holds the event loop at once, and a rule more."""
SHARE = 0.02
"""It takes no more than this part of the core's time."""


class _Search:
    """One look at a state, in small steps."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.found: list[Problem] = []
        self.took = 0.0
        """Seconds of work so far."""
        self._steps = find_steps(scene, self.found)

    def go_on(self, seconds: float) -> bool:
        """Work for about so long; whether it is done."""
        begin = time.monotonic()
        done = False
        while not done and time.monotonic() < begin + seconds:
            done = next(self._steps, True) is True
        self.took += time.monotonic() - begin
        return done


class Board:
    """Looks when it is asked and the state or the time has moved on."""

    def __init__(self, look: Callable[[], Scene]) -> None:
        """`look` tells the state as it is now."""
        self._look = look
        self._seen: dict[str, float] = {}
        self._docs: list[ProblemDoc] = []
        self._search: _Search | None = None
        """The look that is under way."""
        self._next = 0.0
        self._wrong = 0
        self._read_only = ""
        self.revision = 0
        """Rises whenever what is told changes."""

    @property
    def docs(self) -> list[ProblemDoc]:
        """All problems, the worst first."""
        self._refresh()
        return self._docs

    @property
    def wrong(self) -> int:
        """How many want somebody's hand: notices are not among them."""
        self._refresh()
        return self._wrong

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return self._search is not None

    @property
    def due_s(self) -> float:
        """Seconds until it goes on looking when it is asked."""
        return SLICE_S if self._search else max(0.0, self._next - time.monotonic())

    def fresh(self) -> list[ProblemDoc]:
        """All problems as they are this very moment."""
        self._search = _Search(self._look())
        self._go_on(float("inf"))
        return self._docs

    def _refresh(self) -> None:
        """Look anew if it is time, and go on with a look for a moment; the first one is made in
        one go."""
        if self._search is None:
            scene = self._look()
            if time.monotonic() < self._next and scene.read_only == self._read_only:
                return
            self._search = _Search(scene)
        self._go_on(SLICE_S if self._next else float("inf"))

    def _go_on(self, seconds: float) -> None:
        search = self._search
        if search is None or not search.go_on(seconds):
            return
        self._search = None
        self._read_only = search.scene.read_only
        found = [self._since(it, search.scene.wall) for it in search.found]
        self._seen = {it.id: it.since or search.scene.wall for it in found}
        quiet = silenced(found, search.scene)
        found.sort(key=lambda it: (it.id in quiet, *order(it)))
        docs = [problem_doc(it, quiet.get(it.id)) for it in found]
        if docs != self._docs:
            self._docs = docs
            self._wrong = sum(1 for it in docs if is_wrong(it))
            self.revision += 1
        self._next = time.monotonic() + max(EVERY_S, search.took / SHARE)

    def _since(self, problem: Problem, wall: float) -> Problem:
        if problem.since is not None:
            return problem
        return replace(problem, since=self._seen.get(problem.id, wall))


def silenced(found: Iterable[Problem], scene: Scene) -> dict[str, Silence]:
    """Those that somebody wants to hear no more of now: not of what has become worse."""
    silences = scene.snapshot.silences
    return {
        it.id: silence
        for it in found
        if (silence := silences.get(it.id)) is not None
        and silence.until > scene.wall
        and RANK[it.severity] >= RANK.get(silence.severity, 0)  # type: ignore[call-overload]
    }


def is_wrong(problem: ProblemDoc) -> bool:
    """Whether it wants somebody's hand: the top line counts it."""
    return problem["severity"] != "notice" and problem["silenced"] is None


def problem_doc(problem: Problem, silence: Silence | None = None) -> ProblemDoc:
    """A problem as it leaves the core."""
    return {
        "id": problem.id,
        "kind": problem.kind,
        "severity": problem.severity,
        "since": iso(problem.since or 0.0),
        "what": problem.what,
        "touches": problem.touches,
        "next": problem.next.text,
        "action": problem.next.action,
        "command": problem.next.command,
        "node": problem.node or None,
        "gpu": problem.gpu or None,
        "job": problem.job or None,
        "attempt": problem.attempt or None,
        "silenced": None
        if silence is None
        else {"by": silence.by, "until": iso(silence.until), "why": silence.why},
    }
