"""All rules, asked one after the other. Pure: the same state at the same time has the same
problems."""

from __future__ import annotations

from collections.abc import Iterator

from flextui.core.problems import core, devices, jobs, nodes
from flextui.core.problems.problem import RANK, Problem, Rule, Scene

RULES: tuple[Rule, ...] = (
    core.read_only,
    core.copies,
    core.suspended,
    nodes.down,
    nodes.observed,
    nodes.orphans,
    nodes.unsettled,
    nodes.disk,
    nodes.clock,
    nodes.maintenance,
    devices.driver,
    devices.broken,
    devices.ecc,
    devices.foreign,
    jobs.fallen,
    jobs.flapping,
    jobs.waits,
    jobs.quota,
    jobs.idle,
    jobs.overuse,
    jobs.failed,
)


def find(scene: Scene) -> list[Problem]:
    """Everything that is wrong, in no order."""
    found: list[Problem] = []
    for _ in find_steps(scene, found):
        pass
    return found


def find_steps(scene: Scene, found: list[Problem]) -> Iterator[None]:
    """The same into `found`, in steps that are short enough for an event loop."""
    for shared in (lambda: scene.live, lambda: scene.pending):  # what several of them look at
        shared()
        yield
    for rule in RULES:
        try:
            found.extend(rule(scene))
        except Exception as error:  # one that fails doesn't hide what the others find
            found.append(core.failed(rule.__name__, error))
        yield


def order(problem: Problem) -> tuple[int, float, str]:
    """The worst first, then what has been there the longest."""
    since = float("inf") if problem.since is None else problem.since
    return RANK[problem.severity], since, problem.id
