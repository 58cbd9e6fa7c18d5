"""A trace from its first submission to its last end, as fast as decisions can be made.

Time jumps from one event to the next: a submission, an end, or an instant that the scheduler
asked to be woken at. Each instant is one turn of the core, as each batch of events is one live.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from time import perf_counter
from typing import Any

from flextui.core.commands import CommandError
from flextui.core.events import AttemptReported, NodeEvent
from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Identity
from flextui.core.ports import StartAttempt
from flextui.core.scheduler.accounts import held_milli
from flextui.core.simulate.agents import Agents, Work
from flextui.core.simulate.boxes import hello, virtual_inventory
from flextui.core.simulate.clock import VirtualCore
from flextui.core.simulate.record import MILLI, Recorder, Run
from flextui.core.simulate.specs import Specs
from flextui.core.simulate.trace import Box, Trace, TraceJob

IDLE_WAKES = 1000
"""The scheduler may ask so often to be woken with nothing running and nothing coming of it."""
TURNS_AT_ONCE = 10_000
"""More turns at one instant would never end: each undoes what the one before did."""
PROGRESS_EVERY = 500
FIRST_UID = 1000


@dataclass(frozen=True, slots=True)
class Options:
    """What a replay supposes, besides the trace and the nodes."""

    policy: Mapping[str, Any] = field(default_factory=dict)
    """As in an inventory."""
    known: bool = False
    """Whether the scheduler is told how long jobs will run: as their time limit."""
    cost_s: float = 60.0
    """Seconds that preempted work takes to get back to where it was."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How it went."""

    trace: Trace
    boxes: tuple[Box, ...]
    options: Options
    record: Recorder
    passes: int
    seconds: float
    """How long the replay itself took."""


class Replay:
    """One replay. `progress` hears now and then how many jobs have been submitted."""

    def __init__(
        self,
        trace: Trace,
        boxes: Sequence[Box],
        options: Options,
        progress: Callable[[int], None] = lambda jobs: None,
    ) -> None:
        self._trace = trace
        self._boxes = tuple(boxes)
        self._options = options
        self._progress = progress
        self._jobs = sorted(trace.jobs, key=attrgetter("at"))
        self._next = 0
        preemption = bool(options.policy.get("preemption"))
        margin = options.cost_s if preemption else 0.0
        self._specs = Specs(boxes, limits=options.known, margin_s=margin)
        inventory = virtual_inventory(boxes, settings_of(trace, options.policy))
        self.core = VirtualCore(inventory, trace.began)
        self._agents = Agents(self._work_of, options.cost_s)
        gpus = sum(len(box.gpus) for box in boxes)
        weights = {name: it.weight for name, it in inventory.projects.items()}
        self.record = Recorder(gpus * MILLI, weights)
        self._people: dict[tuple[str, tuple[str, ...]], Identity] = {}
        self._runs: dict[str, Run] = {}
        self._stops = sorted(
            ((job.stopped_at, at) for at, job in enumerate(self._jobs) if job.stopped_at),
            reverse=True,
        )
        self._ids: dict[int, str] = {}

    def run(self) -> Replayed:
        """To the end: until nothing runs and nothing more can start."""
        began = perf_counter()
        self.core.join(self._trace.began, [it for box in self._boxes for it in hello(box)])
        idle = turns = 0
        last = -inf
        while idle < IDLE_WAKES:
            at = min(self._next_submission(), self._next_stop(), self._agents.next_at)
            idle = idle + 1 if at == inf and not self._agents.busy else 0
            at = max(last, min(at, self.core.plan_at - self._trace.began))
            if at == inf:
                break
            turns = turns + 1 if at == last else 0
            last = at
            if turns > TURNS_AT_ONCE:
                raise RuntimeError(f"decisions at {at:g} s undo each other without end")
            if self._instant(at):
                idle = 0
        self.record.fairness.settle(self.record.times[-1] if self.record.times else 0.0)
        seconds = perf_counter() - began
        return Replayed(
            self._trace, self._boxes, self._options, self.record, self.core.passes, seconds
        )

    def _instant(self, at: float) -> bool:
        """One turn. True if it made anything start."""
        core, started = self.core, False
        core.begin(self._trace.began + at)
        for event in self._agents.due(at):
            self._seen(at, event)
            core.tell(event)
        while self._next_submission() <= at:
            self._submit(self._jobs[self._next])
        while self._next_stop() <= at:
            self._take_back(at, self._stops.pop()[1])
        for node, effect in core.end():
            self._agents.send(node, effect, at)
            if isinstance(effect, StartAttempt):
                self._started(at, effect.attempt)
                started = True
        self.record.tick(at)
        return started

    # ── what comes ─────────────────────────────────────────────────────────────────────────────

    def _next_submission(self) -> float:
        return self._jobs[self._next].at if self._next < len(self._jobs) else inf

    def _next_stop(self) -> float:
        return self._stops[-1][0] or 0.0 if self._stops else inf

    def _submit(self, job: TraceJob) -> None:
        index = self._next
        self._next += 1
        if self._next % PROGRESS_EVERY == 0:
            self._progress(self._next)
        try:
            spec = self._specs.of(job)
            key = self.core.submit(self._identity(job), spec)
        except CommandError as error:
            self.record.refused(job, error.text)
            return
        resources = spec.resources
        milli = resources.share_milli or resources.gpus * MILLI
        tasks = spec.count if spec.type == "service" else spec.nodes
        if spec.type == "system":
            tasks = len(self._boxes)
        self._runs[key] = self.record.submitted(job, tasks, milli)
        self._ids[index] = key

    def _identity(self, job: TraceJob) -> Identity:
        key = (job.owner, job.groups)
        who = self._people.get(key)
        if who is None:
            who = Identity(job.owner, FIRST_UID + len(self._people), job.groups)
            self._people[key] = who
        return who

    def _take_back(self, at: float, index: int) -> None:
        key = self._ids.get(index)
        if key is not None:
            run = self._runs[key]
            self.record.taken_back(at, run)
            self.core.stop(self._identity(run.job), key)

    # ── what nodes do ──────────────────────────────────────────────────────────────────────────

    def _work_of(self, task: TaskKey) -> Work:
        run = self._runs[task.job]
        spec = self._specs.of(run.job)
        return Work(run.job.run_s, spec.preempt == "resume")

    def _started(self, at: float, attempt: str) -> None:
        run = self._runs[attempt.partition(".")[0]]
        self.record.started(at, run, attempt, held_milli(self.core.attempt(attempt)))

    def _seen(self, at: float, event: NodeEvent) -> None:
        if isinstance(event, AttemptReported) and event.record.exit is not None:
            why = event.record.exit.why
            self.record.ended(at, event.record.attempt, done=why in ("exit", "time_limit"))


def settings_of(trace: Trace, policy: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for the virtual fleet: the trace's own settings, with another policy.

    Everybody who submits for a project is a member of it.
    """
    known = trace.settings.get("projects", {})
    members: dict[str, dict[str, None]] = {
        name: dict.fromkeys(it["members"]) for name, it in known.items()
    }
    for job in trace.jobs:
        if job.project:
            members.setdefault(job.project, {})[job.owner] = None
    projects = {
        name: {
            "weight": trace.projects.get(name, 1.0),
            **known.get(name, {}),
            "members": tuple(people),
        }
        for name, people in members.items()
    }
    return {**trace.settings, "projects": projects, "policy": policy}
