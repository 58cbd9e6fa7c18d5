"""Rooms by what is free in them, so that a decision looks at few of them.

Nodes are bought by the dozen and filled in a few ways, so rooms that are as good as each other
share a `Look`. A request is ranked once for each look, not for each room, and not again while the
look stays: a `Search` keeps the looks that may hold a request in the order of their ranks, and
brings itself up to date with the looks that came into being since it was last asked. Requests
that hardly differ share a search; whether a room really holds one is seen when it comes to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

from flextui.core.scheduler.capacity import Room
from flextui.core.scheduler.fragmentation import STEP, Outlook
from flextui.core.scheduler.looks import Fill, Kind, Look
from flextui.core.scheduler.need import MILLI, Need
from flextui.core.scheduler.rank import Rank, preferred

__all__ = ["Index", "Look", "Search"]

SEARCHES = 1024
"""So many requests are kept in order; beyond that the oldest is forgotten."""
FEW = 16
"""So many entries are kept whether they are dead or not."""
FILLS = 8192
"""So many states of devices are kept with what requests would leave of them."""

Entry = tuple[int, float, int, int, int, int, int, Look]
"""A rank (see `rank`), the number of the look, and the look."""


class Search:
    """The looks that can hold what some requests are about, best first."""

    __slots__ = ("_aside", "_entries", "_most", "_need", "at")

    def __init__(self, need: Need) -> None:
        self._need = need
        self._entries: list[Entry] = []
        """A heap."""
        self._most = FEW
        """With so many entries those that are dead are dropped."""
        self._aside: list[Entry] = []
        """Entries that were looked at; they come back when the next one asks."""
        self.at = 0
        """The last look that it has seen."""

    def read(self, looks: Iterable[Look], outlook: Outlook) -> None:
        """Take in looks that are new to it, the latest first, up to one that it has seen."""
        need, entries, seen = self._need, self._entries, self.at
        wants, cpus, memory, anywhere = need.wants, need.cpus, need.memory, need.anywhere
        prefer, push = need.prefer, heappush
        by_cpus, cpus_anyway = outlook.cpus.serves, outlook.cpus.anyway
        by_memory, memory_anyway = outlook.memory.serves, outlook.memory.anyway
        for look in looks:
            if look.id <= seen:
                break
            spare_cpus, spare_memory = look.cpus - cpus, look.memory - memory
            if spare_cpus < 0 or spare_memory < 0:
                continue
            try:
                left = look.fill.left[wants]
            except KeyError:
                left = look.fill.work_out(wants, look.kind, look.any(), outlook)
            if left is None or not (anywhere or _likes(look.any(), need)):
                continue
            then, size, price = left
            free, lost = look.before or look.expect(outlook)
            company = spare_cpus * by_cpus + cpus_anyway
            other = spare_memory * by_memory + memory_anyway
            step = int(company if company < other else other) // STEP
            loses = then.lost.get(step)
            if loses is None:
                loses = outlook.lose(then, step)
            spoilt = loses - lost + price
            likes = preferred(need, look.any().node) if prefer else 0
            push(entries, (-likes, spoilt, size, free, look.cpus, look.memory, look.id, look))
        if len(entries) > self._most:
            self._bury()

    def _bury(self) -> None:
        self._entries = [it for it in self._entries if it[-1].rooms]
        heapify(self._entries)
        self._most = 3 * len(self._entries) + FEW

    @property
    def leads(self) -> bool:
        """Whether no other is as good as the one that `best_first` has come to."""
        entries = self._entries
        best = entries[0][:6]
        return all(it[:6] != best for it in entries[1:3])

    def best_first(self) -> Iterator[tuple[Rank, Look]]:
        """Those that are still alive. One at a time: the next to ask begins anew."""
        entries, aside = self._entries, self._aside
        while aside:
            heappush(entries, aside.pop())
        while entries:
            entry = entries[0]
            if entry[-1].rooms:
                yield entry[:6], entry[-1]
                aside.append(entry)
            heappop(entries)


def _likes(room: Room, need: Need) -> bool:
    """Whether labels and volumes, which all rooms of a look share, are as asked."""
    labels = room.node.spec.labels
    return (
        all(labels.get(name) == value for name, value in need.labels)
        and not any(labels.get(name) == value for name, value in need.not_labels)
        and room.volumes.issuperset(need.volumes)
    )


class Index:
    """The looks of all open rooms, and the searches among them."""

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self._kinds: dict[Any, Kind] = {}
        self._kind_of: dict[str, Kind] = {}
        self._fills: dict[Any, Fill] = {}
        self._looks: dict[Any, Look] = {}
        self._look_of: dict[str, tuple[Any, Look, int]] = {}
        self._searches: dict[Need, Search] = {}
        self._made = 0
        self._peaks: tuple[list[Any], ...] = ([], [], [])

    # ── rooms ──────────────────────────────────────────────────────────────────────────────────

    def put(self, room: Room, *, fresh: bool = False) -> None:
        """What is free in a room has changed. `fresh`: it was made anew, or renumbered."""
        kind = self._kind_of.get(room.name)
        if kind is None or fresh:
            kind = self._kind_of[room.name] = self._kind(room)
        if not room.open:
            self._leave(room.name)
            return
        if kind.alike:
            devices: Any = sorted([(it.free_milli, it.free_bytes) for it in room.devices])
        else:
            looks = [(it.free_milli, it.free_bytes) for it in room.devices]
            devices = sorted(zip(kind.groups, looks, strict=True))
        filled = (kind.id, *devices)
        key = (filled, room.free_cpus, room.free_memory)
        before = self._look_of.get(room.name)
        if before is not None and before[0] == key and not fresh:
            return
        self._leave(room.name)
        look = self._looks.get(key)
        if look is None:
            look = self._looks[key] = self._new(kind, filled, room)
        look.add(room)
        self._look_of[room.name] = (key, look, room.order)

    def drop(self, name: str) -> None:
        """The node is gone."""
        self._leave(name)
        self._kind_of.pop(name, None)

    def _leave(self, name: str) -> None:
        known = self._look_of.pop(name, None)
        if known is not None:
            key, look, order = known
            del look.rooms[order]
            if not look.rooms:
                del self._looks[key]

    def _kind(self, room: Room) -> Kind:
        key = (
            room.node.sampled,
            tuple((it.memory, it.model, it.mig, it.shareable) for it in room.devices),
            tuple(sorted(room.node.spec.labels.items())),
            room.volumes,
        )
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(len(self._kinds), room)
        return kind

    def _new(self, kind: Kind, filled: Any, room: Room) -> Look:
        fill = self._fills.get(filled)
        if fill is None:
            if len(self._fills) > FILLS:
                self._fills.clear()
            fill = self._fills[filled] = Fill(kind, room)
        self._made += 1
        look = Look(self._made, kind, fill, room)
        most = max(fill.gaps.count(MILLI) * MILLI, fill.gaps[0] if fill.gaps else 0)
        for peak, amount in zip(self._peaks, (most, look.cpus, look.memory), strict=True):
            heappush(peak, (-amount, look.id, look))
        return look

    # ── answers ────────────────────────────────────────────────────────────────────────────────

    def search(self, need: Need) -> Search:
        """The looks that may hold a request, brought up to date."""
        need = need.about
        search = self._searches.get(need)
        if search is None:
            if len(self._searches) >= SEARCHES:
                self._searches.pop(next(iter(self._searches)))
            search = self._searches[need] = Search(need)
        if search.at < self._made:
            search.read(reversed(self._looks.values()), self.outlook)
            search.at = self._made
        return search

    def look(self, name: str) -> Look | None:
        """The look of an open room."""
        known = self._look_of.get(name)
        return known[1] if known else None

    def rank(self, need: Need, look: Look) -> Rank | None:
        """How good these rooms are for a request; None: it doesn't fit there."""
        search = Search(need.about)
        search.read((look,), self.outlook)
        return next((ranked for ranked, _ in search.best_first()), None)

    def most(self) -> tuple[int, int, int]:
        """The most thousandths of GPUs, thousandths of cores and bytes free in any open room."""
        for peak in self._peaks:
            while peak and not peak[0][2].rooms:
                heappop(peak)
        gpus, cpus, memory = (-peak[0][0] if peak else -1 for peak in self._peaks)
        return (gpus, cpus, memory)

    def expect(self, outlook: Outlook) -> None:
        """Another outlook: every rank is another."""
        self.outlook = outlook
        self._searches.clear()
        for fill in self._fills.values():
            fill.left.clear()
        for look in self._looks.values():
            look.fill.left.clear()
            look.before = None
