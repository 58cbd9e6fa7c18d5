"""Who can't start in this pass, as a quick look tells: so that most of those that wait are stepped
over.

A kind that was refused in this pass stays refused, and so is any of its family that asks for no
less (`kind.Kind.family`). A kind that waited already when the last pass ended is looked at only
where something has become free since. What is left goes by the most that is free on any node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

from flextui.core.scheduler.ask import Ask
from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.feasible import fit
from flextui.core.scheduler.fleet import Fleet
from flextui.core.scheduler.keeper import Keeper
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.lane import Account, Block, Cursor
from flextui.core.scheduler.ledger import Ledger
from flextui.core.scheduler.memo import Memo
from flextui.core.scheduler.opened import Least, Opening, may_do, openings_of, within
from flextui.core.scheduler.quota import UNLIMITED, Quotas


class Sieve:
    """The quick looks of one pass."""

    def __init__(
        self,
        ledger: Ledger,
        memo: Memo,
        fleet: Fleet,
        quotas: Quotas,
        keeper: Keeper,
        grown: dict[str, Room],
        changed: Iterable[str],
    ) -> None:
        """`changed`: names of rooms that may not be as they were when the last pass ended."""
        self.grown = grown
        """By name: rooms where more may be free than when the last pass ended."""
        self.blocked: set[Kind] = set()
        """Kinds that can't start any more in this pass."""
        self.refused: set[Kind] = set()
        """Those of them that quotas refused: nobody looked for room."""
        self._placed: set[Kind] = set()
        self._vain: dict[object, list[tuple[Least, float]]] = {}
        """By family: the least of what was looked for in vain, and for how long."""
        self._wall = ledger.now.wall
        self._memo = memo
        self._fleet = fleet
        self._quotas = quotas
        self._keeper = keeper
        self._changed = frozenset(changed)
        self._headroom: dict[Account, int] = {}
        self._openings: list[Opening] | None = None
        self._lent: list[Opening] | None = None

    # ── looks ──────────────────────────────────────────────────────────────────────────────────

    def all_blocked(self, block: Block) -> bool:
        return block.kinds <= self.blocked

    def is_blocked(self, it: Waiting) -> bool:
        return it.kind in self.blocked

    def over(self, cursor: Cursor) -> Callable[[Block], bool]:
        """Whether nobody in a block can start, as a quick look tells."""
        account = cursor.lane.account

        def over(block: Block) -> bool:
            few, many = block.milli
            if few > self._left(account) or block.kinds <= self.blocked:
                return True
            untried, wall = self._memo.untried, self._wall
            known = untried is not None and block.kinds.isdisjoint(untried)
            known = known and many <= self._memo.headroom.get(account, UNLIMITED)
            openings = self._open(known=known)
            return not any(
                may_do(openings, least, wall + lasts) and not self._in_vain(family, least, lasts)
                for least, lasts, family in block.asks
            )

        return over

    def past(self, cursor: Cursor) -> Callable[[Waiting], bool]:
        """The same for one task."""
        account = cursor.lane.account

        def past(it: Waiting) -> bool:
            kind, need = it.kind, it.need
            if kind in self.blocked or kind.milli > self._left(account):
                return True
            openings = self._open(known=self.known(kind))
            if not may_do(openings, need.least, self._wall + kind.brief):
                return True
            return self._in_vain(kind.family, need.least, kind.brief)

        return past

    def known(self, kind: Kind) -> bool:
        """Whether the last pass looked in vain for room for this kind."""
        untried = self._memo.untried
        if untried is None or kind in untried:
            return False
        return kind.milli <= self._memo.headroom.get(kind.account, UNLIMITED)

    def has_grown_for(self, ask: Ask) -> bool:
        """Whether it fits where more may be free than was."""
        return any(
            room.open and room.admits(ask.need) and fit(room, ask) is not None
            for room in self.grown.values()
        )

    def may_borrow(self, least: Least) -> bool:
        """Whether what is kept for others may be enough for a while."""
        if self._lent is None:
            names = [name for name, held in self._keeper.holds.items() if held]
            self._lent = openings_of(self._fleet.room(name) for name in names)
        return may_do(self._lent, least, -inf)

    def hopeless(self, kind: Kind) -> bool:
        """Whether one of its family that asks for no more has found no room in this pass: then
        this kind is blocked as well."""
        vain = self._in_vain(kind.family, kind.need.least, kind.brief)
        if vain:
            self.blocked.add(kind)
        return vain

    def _in_vain(self, family: object | None, least: Least, lasts: float) -> bool:
        vain = self._vain.get(family) if family is not None else None
        return vain is not None and any(within(it, least) and brief <= lasts for it, brief in vain)

    def _open(self, *, known: bool) -> list[Opening]:
        """What may be free: on any node; for kinds that are known, where more is than was."""
        if not known:
            return [Opening(self._fleet.most)]
        if self._openings is None:
            self._openings = openings_of(room for room in self.grown.values() if room.open)
        return self._openings

    def _left(self, account: Account) -> int:
        """What quotas leave to an account, in thousandths of GPUs."""
        if not self._quotas.any:
            return UNLIMITED
        left = self._headroom.get(account)
        if left is None:
            left = self._headroom[account] = self._quotas.headroom(account)
        return left

    # ── what the pass did ──────────────────────────────────────────────────────────────────────

    def refuse(self, kind: Kind) -> None:
        """Quotas don't let this kind start."""
        self.blocked.add(kind)
        self.refused.add(kind)

    def block(self, kind: Kind) -> None:
        """There is no room for this kind, nor for any of its family that asks for no less."""
        self.blocked.add(kind)
        if kind.family is not None:
            least, lasts = kind.need.least, kind.brief
            vain = self._vain.get(kind.family, ())
            others = [it for it in vain if not (within(least, it[0]) and lasts <= it[1])]
            self._vain[kind.family] = [*others, (least, lasts)]

    def placed(self, kind: Kind) -> None:
        """One of this kind starts."""
        self._placed.add(kind)
        self._openings = self._lent = None
        self._headroom.clear()

    def kept(self, *, learned: bool) -> None:
        """More is kept. Where it is the same as before, nothing is free that wasn't; unless run
        times were `learned`: what is kept may let others in than it did."""
        self._lent = self._openings = None
        memo = self._memo
        if memo.untried is None or learned:
            return
        for name in memo.holds:
            if self._keeper.holds.get(name) == memo.holds[name] and name not in self._changed:
                self.grown.pop(name, None)

    def end(self) -> None:
        """The pass is over: what the next one needn't look at."""
        memo = self._memo
        memo.untried = self.refused | self._placed
        memo.headroom = {}
        if self._quotas.any:
            lanes = memo.queue.lanes.values()
            memo.headroom = {lane.account: self._left(lane.account) for lane in lanes}
