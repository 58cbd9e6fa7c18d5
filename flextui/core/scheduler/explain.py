"""Why a job's tasks aren't running, in full: for `why`, and for `plan` of a spec that would wait.

Unlike the stored reasons this is made when somebody asks, so it may name amounts and times. It
looks at the state as a pass does that has just come to the task: what goes before it is placed,
and only what is kept for those is kept from it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import replace
from math import inf
from typing import NamedTuple

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import Job, JobState, NodeStatus, Now, Snapshot, Task
from flextui.core.model.times import iso
from flextui.core.model.units import format_duration
from flextui.core.scheduler.blocks import blocks_of, quota_block, seen_by
from flextui.core.scheduler.decision import Block, Expected, Explanation, Taken
from flextui.core.scheduler.forecast import UNKNOWN, Forecast, endless, foresee
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.line import Line, line_of
from flextui.core.scheduler.obstacles import NEVER
from flextui.core.scheduler.plan import drained, placed_before
from flextui.core.scheduler.promise import promised
from flextui.core.scheduler.reasons import names_text, reason_of, sight
from flextui.core.scheduler.trials import would_help

KINDS = 4
"""So many different requests of one job are explained in full."""


class _Why(NamedTuple):
    """What is in the way of one kind of request."""

    summary: str
    code: str
    ever: bool
    blocks: tuple[Block, ...]
    attempts: frozenset[str]
    """Those that hold what it could have."""
    would_help: tuple[str, ...]
    takes: tuple[Taken, ...] = ()


def explain(snapshot: Snapshot, key: TaskKey, now: Now) -> Explanation:
    """Why this task isn't running now."""
    job = snapshot.jobs.get(key.job) or snapshot.recent.get(key.job)
    if job is None or key not in snapshot.tasks:
        return Explanation(key, "there is no such task", "gone")
    return drained(explain_steps(snapshot, (key,), now))[key]


def explain_steps(
    snapshot: Snapshot, keys: Collection[TaskKey], now: Now
) -> Generator[None, None, dict[TaskKey, Explanation]]:
    """Why these tasks of one job aren't running now, in small steps."""
    future = Future(snapshot, now)
    decision = yield from future.look(told=True)
    line = yield from line_of(future)
    fresh = {task.key: task for task in decision.tasks}
    starting = {it.task for it in decision.placements}
    known: dict[Kind, _Why] = {}
    found: dict[TaskKey, Explanation] = {}
    promises: dict[TaskKey, float | None] = {}
    for key in keys:
        it = line.find(key)
        if it is not None:
            promises[key] = promised(future, line, it)
    for key in keys:
        task = fresh.get(key) or snapshot.tasks[key]
        it = line.find(key)
        if key in starting:
            found[key] = Explanation(key, "its turn comes next", "order", position=1)
        elif it is None:
            found[key] = _not_queued(snapshot, task, now)
        else:
            if it.kind not in known:
                if len(known) < KINDS:
                    known[it.kind] = yield from _why(snapshot, future, it, now)
                else:
                    known[it.kind] = _short(task)
            found[key] = _in_line(key, task, known[it.kind], line, it)
    forecast = yield from foresee(future, [key for key in keys if _may_start(found[key])])
    for key, told in found.items():
        attempts: Collection[str] = ()
        if (it := line.find(key)) is not None and it.kind in known:
            attempts = known[it.kind].attempts
        expected = _expected(snapshot, told, forecast, promises.get(key), attempts, now)
        found[key] = replace(told, expected=expected)
    return found


def _may_start(told: Explanation) -> bool:
    return told.feasible_ever and told.code not in _OVER


_OVER = frozenset({"succeeded", "failed", "stopped", "running", "gone"})


# ── in the queue ───────────────────────────────────────────────────────────────────────────────


def _short(task: Task) -> _Why:
    """What the task itself carries as its reason."""
    ever = task.reason_code not in NEVER
    return _Why(task.reason, task.reason_code, ever, (), frozenset(), ())


def _why(snapshot: Snapshot, future: Future, it: Waiting, now: Now) -> Generator[None, None, _Why]:
    """What is in the way of a request, in its turn."""
    placing = yield from placed_before(snapshot, it.task.key, now)
    ask, rooms = placing.ask_of(it), placing.fleet.rooms
    sights = []
    for number, room in enumerate(rooms):
        sights.append((room.name, sight(snapshot, room, it.need, ask)))
        if number % 20 == 19:
            yield
    reason = reason_of(sights, it.need, it.kind.nodes)
    yield
    seen = yield from seen_by(snapshot, rooms, ask)
    blocks = yield from blocks_of(snapshot, seen, now)
    refusal = placing.quotas.refusal(it.kind)
    if refusal:
        blocks = (quota_block(snapshot, it.kind, refusal), *blocks)
    helps, takes = yield from would_help(future, rooms, it, ask)
    return _Why(
        summary=refusal or reason.text,
        code="quota" if refusal else reason.code,
        ever=reason.ever,
        blocks=blocks,
        attempts=frozenset(key for _, one in seen for key in one.attempts),
        would_help=helps,
        takes=takes,
    )


def _in_line(key: TaskKey, task: Task, why: _Why, line: Line, it: Waiting) -> Explanation:
    place = line.place(it)
    return Explanation(
        task=key,
        summary=why.summary,
        code=why.code,
        blocks=why.blocks,
        would_help=why.would_help,
        takes=why.takes,
        feasible_ever=why.ever,
        position=place + 1,
        waiting=len(line),
        ahead=line.ahead(place),
        behind=line.behind(place),
        factors=line.factors(it),
    )


# ── not in the queue ───────────────────────────────────────────────────────────────────────────


def _not_queued(snapshot: Snapshot, task: Task, now: Now) -> Explanation:
    """Ended, running, or waiting for something else than a place."""
    summary, code = task.reason or str(task.state), task.reason_code or str(task.state)
    blocks: tuple[Block, ...] = ()
    attempt = snapshot.attempts.get(task.active) if task.active else None
    live = attempt is not None and attempt.state.live and not attempt.replaced
    job: Job | None = snapshot.jobs.get(task.key.job)
    begin = job.begin_at if job is not None else None
    if task.state is JobState.PENDING and not live:
        if begin is not None and begin > now.wall:
            left = format_duration(round(begin - now.wall))
            blocks = (Block("begin", f"begins at {iso(begin)}", clears=f"in {left}"),)
        elif task.not_before is not None and task.not_before > now.wall:
            left = format_duration(task.not_before - now.wall)
            text = f"waits {left} before it starts again"
            blocks = (Block("delay", text, clears=f"in {left}"),)
    if live and attempt is not None and task.reason:
        blocks = (Block(code, task.reason, nodes=(attempt.node,)),)
    return Explanation(task.key, summary, code, blocks)


# ── when ───────────────────────────────────────────────────────────────────────────────────────


def _expected(
    snapshot: Snapshot,
    told: Explanation,
    forecast: Forecast,
    promise: float | None,
    attempts: Collection[str],
    now: Now,
) -> Expected | None:
    if told.code in _OVER:
        return None
    if not told.feasible_ever:
        return Expected(None, None, UNKNOWN, "never: no node could ever hold it")
    found = expected_of(snapshot, told.task, forecast, promise, attempts, now)
    silent = _silent(snapshot, told.blocks)
    if found.at is None and forecast.until == inf and silent:
        one = silent[0] if len(silent) == 1 else f"one of {names_text(silent)}"
        return replace(found, text=f"when {one} answers")
    return found


_NOT_HEARD = frozenset({"node_down", "gpus_unknown"})
_MAY_ANSWER = frozenset({NodeStatus.CONNECTING, NodeStatus.LOST, NodeStatus.READY})


def _silent(snapshot: Snapshot, blocks: Collection[Block]) -> list[str]:
    """Nodes of which nothing else is known to be in the way than that they haven't answered yet."""
    codes: dict[str, set[str]] = {}
    for block in blocks:
        for name in block.nodes:
            codes.setdefault(name, set()).add(block.code)
    return [
        name
        for name, found in codes.items()
        if found <= _NOT_HEARD and snapshot.nodes[name].status in _MAY_ANSWER
    ]


def expected_of(
    snapshot: Snapshot,
    key: TaskKey,
    forecast: Forecast,
    promise: float | None,
    attempts: Collection[str],
    now: Now,
) -> Expected:
    """What a forecast says of one task. `attempts`: those that hold what it could have."""
    start = forecast.starts.get(key)
    if start is not None and (promise is None or start.at < promise):
        return Expected(start.at, promise, start.sureness, start.text)
    if promise is not None:
        return Expected(promise, promise, "certain", "the time limits of what runs there")
    if forecast.until < inf:
        ahead = format_duration(max(60.0, (forecast.until - now.wall) // 60 * 60))
        return Expected(None, None, UNKNOWN, f"not within the next {ahead}, as things stand")
    for_ever = [job.full_name for job in endless(snapshot, attempts, now.wall)]
    for_ever = for_ever or list(forecast.endless)
    if for_ever:
        more = f" and {len(for_ever) - 3} more" if len(for_ever) > 3 else ""
        text = f"nobody knows when {', '.join(for_ever[:3])}{more} will end"
        return Expected(None, None, UNKNOWN, text)
    return Expected(None, None, UNKNOWN, "not by itself: see what is in the way")
