"""The only writer of the state: one loop from facts and commands to durable decisions.

A turn takes what waits in the mailbox, folds it into a draft, lets the scheduler decide (in
slices, so that the loop is never held for long), rechecks that, commits everything in one
transaction, and only then sends effects, answers callers and publishes the new snapshot. It runs
on an event or at the next deadline. A commit that fails makes the core read-only: it goes on
seeing, and does nothing, until a commit succeeds again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from flextui.core.backlog import Backlog
from flextui.core.breath import breathing
from flextui.core.commands import CommandError
from flextui.core.deadlines import TICK_S, Deadlines
from flextui.core.draft import Counters, Draft, SessionOrder, Shared
from flextui.core.events import AttemptReported, NodeEvent, NodeReady, Record
from flextui.core.feed import Feed
from flextui.core.forget import forget_old_jobs
from flextui.core.links import Links
from flextui.core.mailbox import Answer, Ask, Folding, Item, Mailbox, facts, refuse
from flextui.core.model.inventory import Inventory
from flextui.core.model.state import NodeStatus, Now, Snapshot
from flextui.core.model.times import iso
from flextui.core.past import Past
from flextui.core.ports import (
    Clock,
    CoreIdentity,
    Effect,
    GrantLease,
    Loaded,
    NodeSession,
    SessionFactory,
    Store,
    StoreError,
)
from flextui.core.reduce.decisions import apply_steps
from flextui.core.reduce.fold import fold
from flextui.core.reduce.nodes import restart_loss_timers
from flextui.core.restore import first_hour, restored
from flextui.core.scheduler.decision import Decision
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.plan import plan_steps

log = logging.getLogger(__name__)

TURN_ITEMS = 200
TURN_S = 0.01
"""Folding stops here and goes on in the next turn: bounds how long the loop is held."""
SENT = 20
"""So many effects are sent between two pauses."""
RETRY_COMMIT_S = 5.0
RETRY_PLAN_S = 5.0
PRUNE_EVERY_S = 3600.0


class Engine:
    """Belongs to one event loop; between `start` and `close` it takes its turns in a task."""

    def __init__(
        self,
        inventory: Inventory,
        store: Store,
        sessions: SessionFactory,
        clock: Clock,
        *,
        owner: str,
        shared: Shared | None = None,
    ) -> None:
        self.inventory = inventory
        self.store = store
        self.feed = Feed()
        self.snapshot = Snapshot(0, inventory)
        self.last_event = 0
        """The newest event that is in the store."""
        self._clock = clock
        self._shared = shared
        self._mailbox = Mailbox()
        self._taken: Sequence[Item] = ()
        """What the turn under way is about."""
        self.past = Past()
        self._counters = Counters()
        self._owner = owner
        self._links = Links(sessions, self.emit)
        self._backlog = Backlog()
        self._memo = Memo()
        self._deadlines = Deadlines()
        self._retry_at = 0.0
        self.ended = asyncio.Event()
        """Set when it takes no more turns, by `close` or by a failure of its own."""
        self._careful = 0
        """So many items are taken one by one: one of them can't be written."""
        self._stalled = False
        """The core was away, and the nodes' loss timers haven't begun anew for it yet."""
        self._stopping = False
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self._pruning: asyncio.Task[None] | None = None

    # ── life ───────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Load the store, open the sessions and begin. Raises `StoreError`."""
        hours_since = first_hour(self.inventory, self._clock.now())
        loaded = await asyncio.to_thread(self.store.load, hours_since)
        self._adopt(loaded)
        for node in self.inventory.nodes:
            self._links.open(self.snapshot.nodes[node.name])
        loop = asyncio.get_running_loop()
        self._pruning = loop.create_task(self._prune(), name="prune")
        self._task = loop.create_task(self._run(), name="engine")

    def _adopt(self, loaded: Loaded) -> None:
        self._counters = Counters(loaded.next_job_seq, loaded.next_event_seq)
        self.last_event = loaded.next_event_seq - 1
        self._links.identity = CoreIdentity(loaded.core_id, loaded.epoch, self._owner)
        self._links.former = loaded.adopt
        self.snapshot = restored(loaded, self.inventory, self._clock.now())

    async def _run(self) -> None:
        try:
            while not self._stopping:
                await self._mailbox.wait(self._timeout())
                if not self._stopping:
                    await self._turn()
        except Exception:
            # Only an error outside of folding and planning leads here. The store is whole: a new
            # core finds everything, and one that went on might not know what it had lost.
            log.exception("the engine ended")
        finally:
            self._stopping = True
            self.feed.close()
            for item in (*self._taken, *self._mailbox.take(1 << 30)):
                refuse(item, CommandError("unreachable", "the core is ending"))
            self.ended.set()

    async def close(self, *, release: bool, suspend_leases: bool) -> None:
        """End without ending any workload: finish the turn, say bye to the nodes. Once only."""
        if self._closed:
            return
        self._closed = self._stopping = True
        self._mailbox.poke()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._pruning is not None:
            self._pruning.cancel()
        await self._links.close(release=release, suspend_leases=suspend_leases)
        await self.store.close()

    # ── the mailbox ────────────────────────────────────────────────────────────────────────────

    @property
    def read_only(self) -> str:
        """Why nothing is done, or "" when all is well."""
        return self._backlog.reason

    @property
    def sessions(self) -> Mapping[str, NodeSession]:
        """The sessions by the names of their nodes."""
        return self._links.sessions

    def now(self) -> Now:
        """The instant as decisions see it."""
        return self._clock.now()

    def emit(self, event: NodeEvent) -> None:
        """A fact from a session; never blocks."""
        if not self._stopping:
            self._mailbox.put(event)

    async def ask(self, apply: Callable[[Draft], Folding]) -> dict[str, Any]:
        """Fold a command in; returns its answer when that is durable. Raises `CommandError`."""
        if self._stopping:
            raise CommandError("unreachable", "the core is ending")
        if self.read_only:
            raise CommandError("failed", f"the core is read-only: {self.read_only}")
        ask = Ask(apply, asyncio.get_running_loop().create_future())
        self._mailbox.put(ask)
        return await ask.future

    # ── one turn ───────────────────────────────────────────────────────────────────────────────

    async def _turn(self) -> None:
        now = self._clock.now()
        items = self._taken = self._mailbox.take(1 if self._careful else TURN_ITEMS)
        self._careful = max(0, self._careful - 1)
        settled = await self._settled(items)
        if self.read_only:
            await self._read_only_turn(items, now, settled)
            return
        draft, answers, items = await self._fold(items, now, settled)
        if draft.replan or self._deadlines.due(now):
            if not await self._plan(draft):
                draft, answers, items = await self._fold(items, now, settled)
        elif draft.replan_within is not None:
            self._deadlines.plan_within(draft.replan_within)
        changes = draft.changes()
        if changes:
            try:
                await self.store.commit(changes)
            except StoreError as error:
                await self._commit_failed(error, items, now, settled)
                return
            except (ValueError, OverflowError) as error:
                self._unwritable(error, items)
                return
            if changes.events:
                self.last_event = changes.events[-1]["seq"]
        self._publish(draft)
        await breathing(self._carry_out(draft.effects, draft.orders))
        for ask, answer in answers:
            ask.reply(answer, self.snapshot)

    async def _fold(
        self, items: Sequence[Item], now: Now, settled: Mapping[str, str]
    ) -> tuple[Draft, list[tuple[Ask, Answer]], list[Item]]:
        """Items into a fresh draft, and which of them those are: for more there was no time.

        One that raises is left out, and the rest folded anew.
        """
        good = list(items)
        self._stalled = self._clock.stalled() or self._stalled
        while True:
            draft = Draft(self.snapshot, now, self._counters, _token, self._shared)
            draft.settled = settled
            forget_old_jobs(draft)
            if self._stalled:
                restart_loss_timers(draft)
            answers: list[tuple[Ask, Answer]] = []
            bad = None
            until = time.monotonic() + TURN_S
            for index, item in enumerate(good):
                if index and time.monotonic() > until:
                    self._mailbox.put_back(good[index:])
                    del good[index:]
                    break
                try:
                    if isinstance(item, Ask):
                        answers.append((item, await self._answer(item.apply(draft))))
                    else:
                        fold(draft, item)
                except CommandError as error:
                    bad = item
                    refuse(item, error)
                    break
                except Exception as error:
                    log.exception("folding %r", item)
                    bad = item
                    refuse(item, CommandError("failed", f"flextui's own failure: {error!r}"))
                    break
            if bad is None:
                return draft, answers, good
            good.remove(bad)

    async def _answer(self, found: Folding) -> Answer:
        answer = await breathing(found) if isinstance(found, Generator) else found
        assert answer is not None
        return answer

    async def _plan(self, draft: Draft) -> bool:
        """Let the scheduler decide on the draft as it is, and write the decision into it.

        False after a failure of the scheduler's own: the draft is spoilt then, and planning is
        tried again later.
        """
        try:
            decision = await self._decide(draft)
            if decision is None:
                return True
            await breathing(apply_steps(draft, decision))
        except Exception:
            log.exception("planning")
            self._deadlines.failed(RETRY_PLAN_S)
            return False
        self._deadlines.planned(decision.next_wall, decision.next_mono)
        return True

    async def _decide(self, draft: Draft) -> Decision | None:
        """A pass. None if the core ends: the next one decides."""
        steps = plan_steps(draft.freeze(self.snapshot.revision + 1), draft.now, self._memo)
        return await breathing(steps, lambda: self._stopping)

    async def _settled(self, items: Sequence[Item]) -> Mapping[str, str]:
        """Which records that memory doesn't know are of attempts that the store saw end."""
        told: list[Record] = []
        for item in items:
            if isinstance(item, NodeReady):
                told += item.records
            elif isinstance(item, AttemptReported):
                told.append(item.record)
        unknown = tuple(it.attempt for it in told if it.attempt not in self.snapshot.attempts)
        if not unknown:
            return {}
        try:
            return await self.store.ended_attempts(unknown)
        except StoreError:
            return {}

    def _publish(self, draft: Draft) -> None:
        paused = draft.suspended != self.snapshot.suspended_until_answer
        kept = bool(draft.reservations.changed or draft.silences.changed)
        self._stalled = False
        if draft.touched_jobs or draft.touched_nodes or paused or kept:
            self.snapshot = draft.freeze(self.snapshot.revision + 1)
            self.past.take(draft.now.wall, self.snapshot, draft.touched_nodes)
            self._clock.watching = any(
                node.status is NodeStatus.LOST for node in self.snapshot.nodes.values()
            )
        if draft.touched_jobs or draft.touched_nodes or draft.events or paused:
            self.feed.publish(draft.touched_jobs, draft.touched_nodes)

    def _timeout(self) -> float | None:
        """Seconds until something is due though nothing happens."""
        if self.read_only:
            return min(TICK_S, max(0.0, self._retry_at - time.monotonic()))
        wait = self._deadlines.wait_s(self._clock.now())
        if self._clock.watching:
            return TICK_S if wait is None else min(wait, TICK_S)
        return wait

    def _carry_out(
        self, effects: Sequence[tuple[str, Effect]], orders: Sequence[SessionOrder]
    ) -> Generator[None, None, None]:
        for at in range(0, len(effects), SENT):
            self._links.send(effects[at : at + SENT])
            yield
        for order in orders:
            known = self.inventory.node(order.node) is not None
            self._links.order(order, self.snapshot.nodes[order.node] if known else None)

    async def _prune(self) -> None:
        """Keep the store bounded, now and then."""
        while True:
            now, policy = self._clock.now().wall, self.inventory.policy
            before = now - policy.log_keep
            with contextlib.suppress(StoreError):
                await self.store.prune(
                    before=before, before_iso=iso(before), usage_before=now - policy.usage_keep
                )
            await asyncio.sleep(PRUNE_EVERY_S)

    def _unwritable(self, error: Exception, items: Sequence[Item]) -> None:
        """Something in this turn fits no database. Nothing of it happened; find it, leave it out.

        Should the plan have made it, that is tried again later.
        """
        if len(items) > 1:
            self._careful = len(items)
            self._mailbox.put_back(items)
            return
        log.error("left out, for it can't be written: %r: %s", items, error)
        self._deadlines.failed(RETRY_PLAN_S)
        for item in items:
            refuse(item, CommandError("input", f"this can't be stored: {error}"))

    # ── read-only ──────────────────────────────────────────────────────────────────────────────

    async def _commit_failed(
        self,
        error: StoreError,
        items: Sequence[Item],
        now: Now,
        settled: Mapping[str, str],
    ) -> None:
        """Nothing of this turn happened, but for the facts: those are kept for the next commit."""
        log.error("read-only: %s", error)
        self._backlog.reason = str(error)
        self._retry_at = time.monotonic() + RETRY_COMMIT_S
        await self._hold_facts(items, now, settled)

    async def _read_only_turn(
        self, items: Sequence[Item], now: Now, settled: Mapping[str, str]
    ) -> None:
        await self._hold_facts(items, now, settled)
        if time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY_COMMIT_S
        try:
            await self.store.commit(self._backlog.changes(self.snapshot))
        except StoreError as error:
            self._backlog.reason = str(error)
            return
        self.last_event = self._counters.event - 1
        effects, orders = self._backlog.release()
        await breathing(self._carry_out(effects, orders))
        self._deadlines.plan_within(0.0)
        self.feed.publish((), ())

    async def _hold_facts(
        self, items: Sequence[Item], now: Now, settled: Mapping[str, str]
    ) -> None:
        """See what happened, and refuse what was asked: it couldn't be kept."""
        for item in items:
            refuse(item, CommandError("failed", f"nothing was changed: {self.read_only}"))
        draft, _, _ = await self._fold(facts(items), now, settled)
        self._backlog.hold(draft)
        self._links.send([it for it in draft.effects if isinstance(it[1], GrantLease)])
        self._publish(draft)


def _token() -> str:
    return secrets.token_hex(8)
