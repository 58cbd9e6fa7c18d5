"""The problems of one core as everybody is shown them: found at most once a second, each since it
was first seen, and quiet for as long as somebody asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from flextui.core.model.docs import ProblemDoc
from flextui.core.model.times import iso
from flextui.core.problems.find import find, order
from flextui.core.problems.problem import Problem, Scene

EVERY_S = 1.0
SHARE = 0.02
"""It takes no more than this part of the core's time."""


class Board:
    """Looks when it is asked and the state or the time has moved on."""

    def __init__(self, look: Callable[[], Scene]) -> None:
        """`look` tells the state as it is now."""
        self._look = look
        self._seen: dict[str, float] = {}
        self._docs: list[ProblemDoc] = []
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
    def due_s(self) -> float:
        """Seconds until it looks again when it is asked."""
        return max(0.0, self._next - time.monotonic())

    def fresh(self) -> list[ProblemDoc]:
        """All problems as they are this very moment."""
        self._next = 0.0
        return self.docs

    @property
    def wrong(self) -> int:
        """How many want somebody's hand: notices are not among them."""
        self._refresh()
        return self._wrong

    def _refresh(self) -> None:
        begin, scene = time.monotonic(), self._look()
        if begin < self._next and scene.read_only == self._read_only:
            return
        self._read_only = scene.read_only
        found = [self._since(it, scene.wall) for it in find(scene)]
        self._seen = {it.id: it.since or scene.wall for it in found}
        docs = [problem_doc(it) for it in sorted(found, key=order)]
        if docs != self._docs:
            self._docs = docs
            self._wrong = sum(1 for it in docs if it["severity"] != "notice")
            self.revision += 1
        took = time.monotonic() - begin
        self._next = begin + max(EVERY_S, took / SHARE)

    def _since(self, problem: Problem, wall: float) -> Problem:
        if problem.since is not None:
            return problem
        return replace(problem, since=self._seen.get(problem.id, wall))


def problem_doc(problem: Problem) -> ProblemDoc:
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
    }
