"""Gives each task that waits its reason, and writes only what changed.

What is told of those further back depends on little: which nodes are open and what they have in
all, and what quotas leave. It is kept by kind, and looked at again only where that changed. For
those in front it is kept what each node has in the way, and looked at again where the node or
what is kept there changed.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from math import inf

from flextui.core.model.ids import TaskKey
from flextui.core.model.records import changed
from flextui.core.model.state import JobState
from flextui.core.scheduler.alike import Alike
from flextui.core.scheduler.capacity import FREE, HELD, Room
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.lane import Account
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.pace import Pace
from flextui.core.scheduler.placing import FRONT, Placing
from flextui.core.scheduler.reasons import (
    Reason,
    Sight,
    closed_reason,
    could_have,
    reason_of,
    sight,
    waits_for_room,
)

LOOKS = 640
"""So many nodes are looked at for those in front, if nothing is known of them yet: of a fleet
that is larger, none is told node by node."""


class Told:
    """What was told, and what it follows from."""

    def __init__(self) -> None:
        self.front: dict[TaskKey, None] = {}
        self.views: dict[Kind, dict[str, Sight]] = {}
        """Of the kinds in front: what each node has in the way."""
        self.back: dict[Kind, Reason] = {}
        self.witness: dict[Kind, str] = {}
        """A node where only attempts of ours are in the way."""
        self.witnessed: dict[str, set[Kind]] = {}
        self.without: set[Kind] = set()
        """Kinds for which there is no such node."""
        self.totals: dict[str, object] = {}
        self.alike = Alike()
        self.headroom: dict[Account, int] = {}
        self.by_account: dict[Account, set[Kind]] = {}

    def forget(self, kind: Kind) -> None:
        self.back.pop(kind, None)
        self.unwitness(kind)
        self.without.discard(kind)
        same = self.by_account.get(kind.account, set())
        same.discard(kind)
        if not same:
            self.by_account.pop(kind.account, None)
            self.headroom.pop(kind.account, None)

    def unwitness(self, kind: Kind) -> None:
        name = self.witness.pop(kind, None)
        if name is not None:
            self.witnessed[name].discard(kind)


def tell(ledger: Ledger, memo: Memo, placing: Placing, pace: Pace) -> Iterator[None]:
    """Give each task that still waits its reason, where that changes."""
    queue, anew = memo.queue, memo.told is None
    known = memo.told = memo.told or Told()
    rooms = list(placing.fleet.rooms) if anew else placing.changed
    before = known.front
    known.front = yield from _tell_front(ledger, placing, known, pace)
    kinds = yield from _changed(ledger, memo, placing, known, rooms, pace)
    keys = dict.fromkeys((*before, *queue.looked))
    for kind in queue.by_kind if anew else kinds:
        keys.update(dict.fromkeys(queue.by_kind[kind]))
    for key in keys:
        it = queue.get(key)
        if it is None or key in known.front or ledger.starting_on(key) is not None:
            continue
        reason, units = known.back.get(it.kind), 0.6
        if reason is None:
            reason = known.back[it.kind] = _back_reason(ledger, placing, known, it.kind)
            units = 6.0
        _put(ledger, it, reason)
        if pace.due(units):
            yield


def _put(ledger: Ledger, it: Waiting, reason: Reason) -> None:
    tasks = [it.task] if it.kind.nodes == 1 else ledger.tasks_of(it.job.id)
    for task in tasks:
        if task.reason != reason.text or task.reason_code != reason.code:
            text, code = reason.text, reason.code
            ledger.put(changed(task, state=JobState.PENDING, reason=text, reason_code=code))


# ── in front ───────────────────────────────────────────────────────────────────────────────────


def _tell_front(
    ledger: Ledger, placing: Placing, known: Told, pace: Pace
) -> Generator[None, None, dict[TaskKey, None]]:
    rooms = placing.fleet.rooms
    number = min(FRONT, LOOKS // max(1, len(rooms)))
    front = placing.front[:number]
    stale = _stale(placing, known) if front else []
    gated = [room for room in rooms if room.gates] if front else []
    views: dict[Kind, dict[str, Sight]] = {}
    reasons: dict[Kind, Reason] = {}
    for it in front:
        kind = it.kind
        if kind not in reasons:
            refusal = placing.quotas.refusal(kind)
            if refusal:
                reasons[kind] = Reason("quota", refusal, True)
                continue
            view = known.views.get(kind)
            ask = placing.ask_of(it)
            again = dict.fromkeys(stale if lasting(kind) else (*stale, *gated))
            for room in rooms if view is None else again:
                view = {} if view is None else view
                view[room.name] = sight(ledger.snapshot, room, kind.need, ask)
                if pace.due(4):
                    yield
            views[kind] = view = view or {}
            seen = ((room.name, view[room.name]) for room in rooms)
            reasons[kind] = reason_of(seen, kind.need, kind.nodes)
    for it in front:
        _put(ledger, it, reasons[it.kind])
    known.views = views
    return {it.task.key: None for it in front}


def lasting(kind: Kind) -> bool:
    """Whether gates tell such a request the same as long as they are the same: it doesn't matter
    when it asks."""
    return kind.until(0.0) == inf and not kind.learns


def _stale(placing: Placing, known: Told) -> list[Room]:
    """Nodes that may have other things in the way than at the last pass's end."""
    before, now = placing.held_before, placing.keeper.holds
    names = {room.name for room in placing.changed} | placing.keeper.taken
    names.update(it for it in {*before, *now} if before.get(it) != now.get(it))
    return [placing.fleet.room(name) for name in sorted(names)]


# ── further back ───────────────────────────────────────────────────────────────────────────────


def _changed(
    ledger: Ledger, memo: Memo, placing: Placing, known: Told, rooms: list[Room], pace: Pace
) -> Generator[None, None, list[Kind]]:
    """Find anew what may have changed of what is told further back; the kinds where it has.
    `rooms`: those that may be others than they were."""
    queue = memo.queue
    for kind in queue.gone_kinds:
        if kind not in queue.by_kind:
            known.forget(kind)
    stale: dict[Kind, None] = {}
    others: Collection[Kind] = ()
    for room in rooms:
        totals = _totals(room)
        if known.totals.get(room.name) != totals:
            known.totals[room.name] = totals
            known.alike.set(room)
            stale.update(dict.fromkeys(known.witnessed.get(room.name, ())))
            others = known.without
        if pace.due(2):
            yield
    stale.update(dict.fromkeys(others))
    for account in placing.quotas.unsettled(known.headroom, known.by_account):
        stale.update(dict.fromkeys(known.by_account.get(account, ())))
    found = []
    for kind in stale:
        reason = _back_reason(ledger, placing, known, kind)
        if known.back.get(kind) != reason:
            known.back[kind] = reason
            found.append(kind)
        if pace.due(6):
            yield
    if placing.quotas.any:
        accounts = known.by_account
        known.headroom = {it: placing.quotas.headroom(it) for it in accounts}
    return found


def _totals(room: Room) -> object:
    """What of a node decides whether it could hold a request one day."""
    node = room.node
    return (
        room.open,
        node.status,
        node.drain is None,
        node.cordon is None,
        node.sampled,
        room.cpus,
        room.memory,
        tuple((it.uuid, "" if it.state in _OURS else it.state) for it in room.devices),
        tuple(it.uuid for it in room.usable),
        tuple((it.foreign, it.users) for it in room.devices if it.users),
    )


_OURS = (FREE, HELD)


def _back_reason(ledger: Ledger, placing: Placing, known: Told, kind: Kind) -> Reason:
    rooms = placing.fleet.rooms
    refusal = placing.quotas.coarse(kind)
    known.by_account.setdefault(kind.account, set()).add(kind)
    known.unwitness(kind)
    known.without.discard(kind)
    for room in known.alike.some(kind.need):
        if could_have(room, kind.need):
            known.witness[kind] = room.name
            known.witnessed.setdefault(room.name, set()).add(kind)
            break
    else:
        known.without.add(kind)
    if refusal:
        return Reason("quota", refusal, True)
    if kind in known.witness:
        return waits_for_room(kind.need, kind.nodes)
    return closed_reason(ledger.snapshot, rooms, known.alike, kind.need, kind.nodes)
