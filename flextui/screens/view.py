"""The picture of the fleet that screens draw from, kept current by the core's deltas."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import compress
from operator import is_not
from typing import TypeVar

from flextui.core.model.docs import Delta, FleetDoc, JobDoc, NodeDoc, ProblemDoc

T = TypeVar("T")


def replaced(before: Mapping[str, T], now: Mapping[str, T]) -> list[str]:
    """The keys whose documents aren't the same objects as before; documents are never changed in
    place. Mostly nothing has come or gone, and what stands at the same place is of the same key:
    that is quick to see. Where it isn't so, more may be told."""
    if len(before) == len(now):
        return list(compress(now, map(is_not, now.values(), before.values())))
    return [key for key, doc in now.items() if before.get(key) is not doc]


def gone(before: Mapping[str, T], now: Mapping[str, T], changed: Iterable[str]) -> Collection[str]:
    """The keys that aren't there any more; `changed` is what `replaced` told."""
    if len(before) == len(now) and all(key in before for key in changed):
        return ()
    return before.keys() - now.keys()


class View:
    """Fleet, jobs and nodes as last told. `live` is False while the core is out of reach;
    `opening` while it isn't there yet, and all is as it was left."""

    def __init__(self) -> None:
        self.revision = 0
        self.fleet: FleetDoc | None = None
        self.jobs: dict[str, JobDoc] = {}
        self.nodes: dict[str, NodeDoc] = {}
        self.problems: dict[str, ProblemDoc] = {}
        """By id, the worst first."""
        self.live = False
        self.opening = False
        self.trouble = ""
        self.lost_at: float | None = None
        """Since when the core is out of reach, in Unix seconds; None: it never was, or it has
        been told that it is back."""

    @property
    def seen(self) -> bool:
        """Whether a core has ever told anything."""
        return self.fleet is not None and self.fleet["core"] != ""

    def lose(self, why: str, now: float) -> None:
        """The core is out of reach; what is known stays."""
        if self.live:
            self.lost_at = now
        self.live = self.opening = False
        self.trouble = why

    def foresee(self, delta: Delta) -> None:
        """What is known before the core is open."""
        self.apply(delta)
        self.live, self.opening = False, True

    def apply(self, delta: Delta) -> None:
        """Take a delta in; a full one replaces everything."""
        if delta["full"]:
            self.jobs.clear()
            self.nodes.clear()
        self.revision = delta["revision"]
        if "fleet" in delta:
            self.fleet = delta["fleet"]
        for key, job in delta["jobs"].items():
            if job is None:
                self.jobs.pop(key, None)
            else:
                self.jobs[key] = job
        for name, node in delta["nodes"].items():
            if node is None:
                self.nodes.pop(name, None)
            else:
                self.nodes[name] = node
        if "problems" in delta:
            self.problems = {it["id"]: it for it in delta["problems"]}
        self.live = True
        self.opening = False
        self.trouble = ""

    def job_named(self, text: str) -> JobDoc | None:
        """A job by id, owner/name or name (the newest)."""
        if text in self.jobs:
            return self.jobs[text]
        matches = [
            job
            for job in self.jobs.values()
            if text in (job["name"], f"{job['owner']}/{job['name']}")
        ]
        return max(matches, key=lambda job: job["submitted_at"], default=None)
