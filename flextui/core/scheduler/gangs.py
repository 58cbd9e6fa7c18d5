"""Gangs: tasks that run all at once, on a node each, or not at all.

Each rank is a task like any other, and ends by the same rules. What makes a gang of them is here:
a rank waits for a place only when all do; when one has to start again, the others are stopped
and start again with it, also those that had succeeded; when one has failed for good, so has the
gang. Its failures are counted once, though several ranks may see the same one.
"""

from __future__ import annotations

from dataclasses import replace

from flextui.core.model.ids import TaskKey
from flextui.core.model.state import JobState, Snapshot, Task
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.settle import Look, fresh, settle, stopped

PORTS = range(29_400, 29_900)
"""Of the first rank's node, for the ranks to meet at."""


def settle_gang(look: Look, tasks: list[Task]) -> list[Task]:
    """Bring the ranks along, each and together. Returns them if the gang wants its places."""
    ledger = look.ledger
    ready = [settle(look, task) for task in tasks]
    ranks = [ledger.task(task.key) for task in tasks]
    if look.job.stops(ledger.now.wall):
        return []
    failed = next((it for it in ranks if it.state is JobState.FAILED), None)
    if failed is not None:
        _end_others(ledger, ranks, f"rank {failed.key.index} failed: {failed.reason}")
        return []
    behind = next((it for it in ranks if _has_to_start(ledger, it)), None)
    if behind is None:
        return []
    why = f"rank {behind.key.index} {behind.reason or 'starts again'}"
    if not _together(ledger, ranks, why):
        _wait_for_others(
            ledger, [task.key for task, waits in zip(tasks, ready, strict=True) if waits]
        )
        return []
    ranks = _alike(ledger, [ledger.task(it.key) for it in ranks])
    if not all(ready):
        ready = [settle(look, it) for it in ranks]
    return [ledger.task(it.key) for it in ranks] if all(ready) else []


def _has_to_start(ledger: Ledger, task: Task) -> bool:
    return task.state is JobState.PENDING and ledger.live(task) is None


def _end_others(ledger: Ledger, ranks: list[Task], why: str) -> None:
    for task in ranks:
        attempt = ledger.live(task)
        if attempt is not None:
            ledger.stop(attempt, why)
        elif not task.state.ended:
            ledger.put(stopped(task, why, ledger.now.wall))


def _together(ledger: Ledger, ranks: list[Task], why: str) -> bool:
    """Bring all ranks back to their beginning. False: some have to end first."""
    ended = True
    for task in ranks:
        attempt = ledger.live(task)
        if attempt is not None:
            ended = False
            ledger.stop(attempt, why)
        elif task.state is not JobState.PENDING:
            again = fresh(task, ledger.now.wall)
            ledger.put(replace(again, failures=task.failures, ready_at=task.ready_at))
    return ended


def _wait_for_others(ledger: Ledger, keys: list[TaskKey]) -> None:
    """These ranks want a place, and get none before the others have ended."""
    for key in keys:
        reason = "waits for the others of its gang to end, to start again with them"
        ledger.put(replace(ledger.task(key), reason=reason, reason_code="restart"))


def _alike(ledger: Ledger, ranks: list[Task]) -> list[Task]:
    """Give all ranks the gang's age, delay and failures: what several of them saw since the gang
    last started is one failure."""
    attempts = ledger.snapshot.attempts
    last = [it for one in ranks if (it := attempts.get(one.active or "")) is not None]
    since = max((it.placed_at for it in last), default=0.0)
    seen = {at for task in ranks for at in task.failures}
    before = sorted(at for at in seen if at < since)
    failures = (*before, *sorted(at for at in seen if at >= since)[:1])
    not_before = max((it.not_before for it in ranks if it.not_before is not None), default=None)
    ready_at = min(it.ready_at for it in ranks)
    same = []
    for task in ranks:
        reason, code = task.reason, task.reason_code
        if not_before is not None and task.not_before is None:
            reason, code = "waits for the others of its gang", "delay"
        rank = replace(task, failures=failures, not_before=not_before, ready_at=ready_at)
        same.append(replace(rank, reason=reason, reason_code=code))
        ledger.put(same[-1])
    return same


# ── where its ranks meet ───────────────────────────────────────────────────────────────────────


class Meeting:
    """Where the gangs that one pass starts meet."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._taken: set[str] = set()

    def of(self, ranks: list[Task], node: str) -> tuple[str, str]:
        """A name for this start of a gang whose first rank goes to that node, and the host:port
        there where its ranks meet: a port that no live gang there uses."""
        number = max(task.attempts for task in ranks) + 1
        host = _address(self._snapshot, node)
        live = (self._snapshot.attempts[key] for key in self._snapshot.by_node.get(node, ()))
        used = self._taken | {it.master for it in live if it.master}
        places = (f"{host}:{port}" for port in PORTS)
        place = next((it for it in places if it not in used), f"{host}:{PORTS.start}")
        self._taken.add(place)
        return f"{ranks[0].key.job}.g{number}", place


def _address(snapshot: Snapshot, node: str) -> str:
    """What other nodes can be expected to know the box by. A name without a dot may well be an
    alias of our own SSH configuration; the box's own host name is the better guess then."""
    known = snapshot.nodes[node]
    host = known.spec.host
    if "." in host or ":" in host or known.facts is None:
        return host
    return known.facts.hostname or host
