"""The scheduler's decision, rechecked against the state and written into the draft.

The scheduler is pure and may be wrong; what it asks for is carried out only where it still holds.
A placement that doesn't is dropped and said: planning again is cheap, a double start isn't.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace

from flextui.core.draft import Draft
from flextui.core.forget import forget_old_attempt
from flextui.core.model.ids import TaskKey, attempt_id
from flextui.core.model.records import changed
from flextui.core.model.state import Attempt, AttemptState, Job
from flextui.core.reduce.kills import kill, send_kill
from flextui.core.reduce.recheck import recheck
from flextui.core.reduce.starts import start_effect
from flextui.core.scheduler.decision import Decision, GiveUp, Placement
from flextui.core.scheduler.loss import FENCE_MARGIN_S

SLICE, FEW = 100, 10
"""So many records, and starts, are written between two pauses."""
MIN_LEASE_S = 10.0
"""Shorter leases would end workloads at every reconnect."""


def apply_decision(draft: Draft, decision: Decision) -> None:
    """Write a decision into the draft; effects go out after the commit."""
    for _ in apply_steps(draft, decision):
        pass


def apply_steps(draft: Draft, decision: Decision) -> Generator[None, None, None]:
    """The same in steps of about a millisecond."""
    for at, job in enumerate(decision.jobs):
        _put_job(draft, job)
        if at % SLICE == SLICE - 1:
            yield
    for at in range(0, len(decision.tasks), 2 * SLICE):
        draft.put_tasks(decision.tasks[at : at + 2 * SLICE])
        yield
    for at, owed in enumerate(decision.kills):
        attempt = draft.attempts.get(owed.attempt)
        if attempt is not None:
            kill(draft, attempt, owed.stop)
        if at % SLICE == SLICE - 1:
            yield
    for at, give_up in enumerate(decision.give_ups):
        _give_up(draft, give_up)
        if at % SLICE == SLICE - 1:
            yield
    for at, together in enumerate(_gangs(decision.placements)):
        if at % FEW == FEW - 1:
            yield
        if refusal := recheck(draft, together):
            key = together[0].task
            node = together[0].node
            draft.note("plan.refused", refusal, job=key.job, task=key.index, node=node)
            continue
        for placement in together:
            _place(draft, placement)
    for note in decision.notes:
        draft.note(
            note.kind, note.text, job=note.job, task=note.task, attempt=note.attempt, node=note.node
        )
    draft.suspended = decision.suspended


def _put_job(draft: Draft, job: Job) -> None:
    if job.state.ended and job.ended_at is None:
        job = replace(job, ended_at=draft.now.wall)
    before = draft.jobs.get(job.id)
    draft.put_job(job)
    if before is not None and job.state.ended:
        text = f"{job.full_name} {job.state}" + (f": {job.reason}" if job.reason else "")
        draft.note(f"job.{job.state}", text, job=job.id)


def _give_up(draft: Draft, give_up: GiveUp) -> None:
    attempt = draft.attempts.get(give_up.attempt)
    if attempt is None or not attempt.state.live or attempt.replaced:
        return
    gone = replace(attempt, replaced=True, reason=give_up.reason)
    draft.put_attempt(gone)
    key = gone.task
    draft.note(
        "attempt.replaced",
        give_up.reason,
        job=key.job,
        task=key.index,
        attempt=gone.id,
        node=gone.node,
    )
    send_kill(draft, gone)


# ── placements ─────────────────────────────────────────────────────────────────────────────────


def _gangs(placements: Iterable[Placement]) -> Iterable[Sequence[Placement]]:
    """What starts together or not at all: the ranks of a gang, any other placement alone."""
    together: dict[str | TaskKey, list[Placement]] = {}
    for placement in placements:
        together.setdefault(placement.gang or placement.task, []).append(placement)
    return together.values()


def _place(draft: Draft, placement: Placement) -> None:
    """Make the attempt, which was rechecked."""
    job, task = draft.jobs[placement.task.job], draft.tasks[placement.task]
    node = draft.nodes[placement.node]
    facts = node.facts
    assert facts is not None
    number = task.attempts + 1
    attempt = Attempt(
        id=attempt_id(task.key, number),
        task=task.key,
        number=number,
        revision=placement.revision,
        node=node.name,
        host_id=facts.host_id,
        boot=facts.boot,
        root_id=facts.root_id,
        gpus=placement.gpus,
        cpus=placement.cpus,
        memory_bytes=placement.memory_bytes,
        state=AttemptState.PLACED,
        placed_at=draft.now.wall,
        lease_s=_lease(draft, job),
        nonce=draft.token(),
        share=placement.share,
        gpu_memory_bytes=placement.gpu_memory_bytes,
        cpu_set=placement.cpu_set,
        gang=placement.gang,
        master=placement.master,
        borrowed=placement.borrowed,
    )
    draft.put_attempt(attempt)
    if attempt.lease_s is not None:
        draft.lease_mono.put(attempt.id, draft.now.mono)
    placed = changed(
        task,
        attempts=number,
        active=attempt.id,
        reason=f"starting on {node.name}",
        reason_code="starting",
        not_before=None,
    )
    draft.put_task(placed)
    forget_old_attempt(draft, placed)
    effect = start_effect(draft, attempt)
    assert effect is not None
    draft.send(node.name, effect)


def _lease(draft: Draft, job: Job) -> float | None:
    """How long an attempt under `fence: true` outlives its last renewal.

    So long that it is dead, grace and margin included, when its replacement is due.
    """
    loss = job.spec.on_node_loss
    if not loss.fence:
        return None
    after = loss.after if loss.after is not None else draft.inventory.policy.node_lost_after
    return max(MIN_LEASE_S, after - job.spec.grace - FENCE_MARGIN_S)
