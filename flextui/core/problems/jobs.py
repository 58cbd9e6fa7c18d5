"""Rules about jobs: fallen, restarting again and again, waiting too long, holding what they don't
use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest

from flextui.core.model.state import Job, JobState, Task
from flextui.core.problems.problem import Problem, Scene, Severity, Step
from flextui.core.scheduler.obstacle import NEVER

MOST = 12
"""So many problems of one kind by themselves; what is beyond is one more, of all of them."""
FAILED_S = 24 * 3600.0
"""A batch job that failed is told for so long, unless it is handed in again before."""
FLAPS = 2
"""A service that has failed so often lately is flapping."""
NEVER_S = 60.0
"""What no node could ever hold waits too long after this."""

_NOT_WAITING = ("delay", "begin", "starting", "stopping", "restart", "held", "node_lost",
                "unknown", "quota")  # fmt: skip


def fallen(scene: Scene) -> Iterator[Problem]:
    """What should stay up, failed for good, and wasn't submitted anew."""
    for job in _newest(scene, lambda it: it.type != "batch"):
        if job.state is JobState.FAILED and not scene.came_back(job):
            yield Problem(
                id=f"fallen:{job.id}",
                severity="critical",
                what=f"{job.full_name}: {job.reason or 'failed'}",
                next=Step("read why", "logs", f"logs {job.id}"),
                since=job.ended_at,
                touches=f"0 of {max(1, job.count)} run",
                job=job.id,
            )


def failed(scene: Scene) -> Iterator[Problem]:
    """Batch jobs that failed lately and weren't handed in again."""
    found = [
        Problem(
            id=f"failed:{job.id}",
            severity="notice",
            what=f"{job.full_name}: {job.reason or 'failed'}",
            next=Step("read why", "logs", f"logs {job.id}"),
            since=job.ended_at,
            job=job.id,
        )
        for job in _newest(scene, lambda it: it.type == "batch")
        if job.state is JobState.FAILED
        and not scene.came_back(job)
        and (job.ended_at or 0.0) > scene.wall - FAILED_S
    ]
    found.sort(key=lambda it: -(it.since or 0.0))
    yield from found[:MOST]
    if rest := found[MOST:]:
        step = Step("see them all", "jobs", "jobs")
        yield _more(len(rest), "failed", "failed lately", "notice", rest[-1].since, step)


def _newest(scene: Scene, wanted: Callable[[Job], bool]) -> Iterable[Job]:
    """The newest ended job of each name."""
    newest: dict[str, Job] = {}
    for job in scene.snapshot.recent.values():
        if wanted(job):
            known = newest.get(job.full_name)
            if known is None or known.seq < job.seq:
                newest[job.full_name] = job
    return newest.values()


def flapping(scene: Scene) -> Iterator[Problem]:
    """Services that fail and start again."""
    for job in scene.snapshot.jobs.values():
        if job.type == "batch" or job.stop is not None:
            continue
        tasks = [scene.snapshot.tasks[key] for key in scene.snapshot.by_job.get(job.id, ())]
        after = scene.wall - job.spec.restart.within
        fails = {it.key: [at for at in it.failures if at > after] for it in tasks}
        bad = [it for it in tasks if len(fails[it.key]) >= FLAPS and not it.state.ended]
        if bad:
            worst = max(bad, key=lambda it: len(fails[it.key]))
            last = scene.snapshot.attempts.get(worst.active or "")
            why = worst.reason.removeprefix("starts again: ") or (last.reason if last else "")
            yield Problem(
                id=f"flapping:{job.id}",
                severity="warning",
                what=f"{job.full_name}: {len(fails[worst.key])} restarts lately"
                + (f", {why}" if why else ""),
                next=Step("read why", "logs", f"logs {job.id}"),
                since=min(fails[worst.key]),
                touches=f"{len(bad)} of {len([it for it in tasks if not it.retired])} replicas",
                job=job.id,
            )


# ── waiting ────────────────────────────────────────────────────────────────────────────────────


def waits(scene: Scene) -> Iterator[Problem]:
    """Jobs that wait for a place longer than anybody would think, or can't ever have one."""
    oldest: dict[str, Task] = {}
    longest = scene.snapshot.inventory.policy.warn_wait
    for task in scene.pending:
        code = task.reason_code
        if code in _NOT_WAITING or not task.reason:
            continue
        if scene.wall - task.ready_at > (NEVER_S if code in NEVER else longest):
            known = oldest.get(task.key.job)
            if known is None or task.ready_at < known.ready_at:
                oldest[task.key.job] = task
    first = nsmallest(MOST, oldest.values(), key=lambda it: (it.ready_at, it.key))
    for task in first:
        yield _wait(scene.snapshot.jobs[task.key.job], task)
    if len(oldest) > MOST:
        since = nsmallest(MOST + 1, (it.ready_at for it in oldest.values()))[-1]
        step = Step("see the queue", "queue", "queue")
        yield _more(len(oldest) - MOST, "waits", "wait long", "warning", since, step)


def _wait(job: Job, task: Task) -> Problem:
    return Problem(
        id=f"waits:{job.id}",
        severity="warning",
        what=f"{job.full_name}: {task.reason}",
        next=Step("see what would help", "why", f"why {job.id}"),
        since=task.ready_at,
        touches="can never start" if task.reason_code in NEVER else "waits too long",
        job=job.id,
    )


def quota(scene: Scene) -> Iterator[Problem]:
    """Quotas that are used up while jobs wait for them; one line for each project or user."""
    found: dict[str, list[Task]] = {}
    for task in scene.pending:
        if task.reason_code == "quota":
            job = scene.snapshot.jobs[task.key.job]
            found.setdefault(job.project or job.owner, []).append(task)
    for name, tasks in found.items():
        first = min(tasks, key=lambda it: it.ready_at)
        jobs = {it.key.job for it in tasks}
        yield Problem(
            id=f"quota:{name}",
            severity="notice",
            what=f"quota of {name} is used up: {first.reason}",
            next=Step("see who used it", "usage", "usage --by user"),
            since=first.ready_at,
            touches=f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} wait",
            job=first.key.job if len(jobs) == 1 else "",
        )


# ── wasting ────────────────────────────────────────────────────────────────────────────────────


def idle(scene: Scene) -> Iterator[Problem]:
    """Jobs that hold GPUs and don't use them."""
    usual = scene.snapshot.inventory.policy.warn_idle
    held: dict[str, list[tuple[float, int, str]]] = {}
    busy: set[str] = set()
    for key, meter in scene.snapshot.meters.items():
        attempt = scene.snapshot.attempts.get(key)
        if attempt is None or not attempt.state.live or not attempt.gpus:
            continue
        if meter.idle_at is None:
            busy.add(attempt.task.job)
        else:
            rows = held.setdefault(attempt.task.job, [])
            rows.append((meter.idle_at, len(attempt.gpus), attempt.node))
    for job_id, rows in held.items():
        job = scene.snapshot.jobs.get(job_id)
        if job is None or job_id in busy:  # one rank of a gang may wait for the others
            continue
        since = max(at for at, _, _ in rows)
        patience = job.spec.idle.for_ if job.spec.idle is not None else usual
        if scene.wall - since >= patience:
            gpus = sum(number for _, number, _ in rows)
            nodes = sorted({node for _, _, node in rows})
            yield Problem(
                id=f"idle:{job_id}",
                severity="warning",
                what=f"{job.full_name}: holds {gpus} GPU{'s' if gpus > 1 else ''} on "
                f"{nodes[0]}{f' +{len(nodes) - 1}' if len(nodes) > 1 else ''}, uses none",
                next=Step("stop it, or ask its owner", "stop", f"stop {job_id}"),
                since=since,
                touches=_who_could(scene),
                node=nodes[0],
                job=job_id,
            )


def _who_could(scene: Scene) -> str:
    waiting = scene.waiting_for_gpus
    return f"{waiting} job{'s' if waiting > 1 else ''} wait for GPUs" if waiting else ""


def overuse(scene: Scene) -> Iterator[Problem]:
    """Attempts that use more memory of a shared GPU than their share."""
    for key, meter in scene.snapshot.meters.items():
        attempt = scene.snapshot.attempts.get(key)
        if not meter.over_told or attempt is None or not attempt.state.live:
            continue
        job, task = scene.job_of(attempt), scene.snapshot.tasks.get(attempt.task)
        gpu = attempt.gpus[0] if attempt.gpus else ""
        others = [it for it in scene.live.get(attempt.node, [])
                  if gpu in it.gpus and it.id != key]  # fmt: skip
        yield Problem(
            id=f"share:{key}",
            severity="warning",
            what=f"{job.full_name if job else key}: more GPU memory than its share",
            next=Step("stop it, or give it a larger share", "stop", f"stop {attempt.task.job}"),
            since=meter.over_at,
            touches=", ".join(scene.names(others)) or (task.reason if task else ""),
            node=attempt.node,
            job=attempt.task.job,
            attempt=key,
        )


def _more(
    count: int, kind: str, words: str, severity: Severity, since: float | None, step: Step
) -> Problem:
    """One for all that are beyond the first."""
    what = f"{count} more job{'s' if count > 1 else ''} {words}"
    return Problem(id=f"{kind}:more", severity=severity, what=what, next=step, since=since)
