"""Live jobs by name and by who has them: what each submit asks, kept so that it needn't search.

There may be thousands of one name, and each turn makes the entries that it changes anew. So they
are kept in blocks of neighbours, of which a change copies one.
"""

from __future__ import annotations

from collections.abc import Mapping

from flextui.core.model.state import Job
from flextui.core.table import Table

BLOCK = 64
"""Sequence numbers of a block; it has few of them where other names come between."""

Blocks = tuple[tuple[int, ...], ...]
"""Sequence numbers of jobs, oldest first."""


class LiveJobs:
    """Two indexes over the jobs that haven't ended."""

    def __init__(
        self,
        named: Mapping[tuple[str, str], Blocks] | None = None,
        counts: Mapping[tuple[str, str], int] | None = None,
        *,
        own: bool = False,
    ) -> None:
        self.named: Table[tuple[str, str], Blocks] = Table(named or {}, own=own)
        """(owner, name) → those that nobody has stopped."""
        self.counts: Table[tuple[str, str], int] = Table(counts or {}, own=own)
        """("user", name) and ("project", name) → how many there are."""

    def put(self, old: Job | None, new: Job) -> None:
        """A job was added, or replaces its older record."""
        if old is not None and _alike(old, new):
            return
        before = () if old is None or old.state.ended else _accounts(old)
        after = () if new.state.ended else _accounts(new)
        if before != after:
            self._count(before, -1)
            self._count(after, 1)
        was_open = old is not None and _open(old)
        if was_open != _open(new):
            key = (new.owner, new.name)
            blocks = self.named.get(key) or ()
            blocks = _with(blocks, new.seq) if _open(new) else _without(blocks, new.seq)
            if blocks:
                self.named.put(key, blocks)
            else:
                self.named.drop(key)

    def _count(self, keys: tuple[tuple[str, str], ...], change: int) -> None:
        for key in keys:
            count = (self.counts.get(key) or 0) + change
            if count > 0:
                self.counts.put(key, count)
            else:
                self.counts.drop(key)


def _with(blocks: Blocks, seq: int) -> Blocks:
    """With one more, which is the newest unless it was started again."""
    at, number = len(blocks), seq // BLOCK
    if blocks and seq > (last := blocks[-1])[-1] and last[0] // BLOCK == number:
        return (*blocks[:-1], (*last, seq))
    while at and blocks[at - 1][0] // BLOCK > number:
        at -= 1
    if at and blocks[at - 1][0] // BLOCK == number:
        return (*blocks[: at - 1], tuple(sorted((*blocks[at - 1], seq))), *blocks[at:])
    return (*blocks[:at], (seq,), *blocks[at:])


def _without(blocks: Blocks, seq: int) -> Blocks:
    number = seq // BLOCK
    at = next(index for index, block in enumerate(blocks) if block[0] // BLOCK == number)
    left = tuple(it for it in blocks[at] if it != seq)
    return (*blocks[:at], *((left,) if left else ()), *blocks[at + 1 :])


def _alike(old: Job, new: Job) -> bool:
    """Whether a job counts as it did. Its owner and name never change."""
    return (
        old.state.ended is new.state.ended and old.stop is new.stop and old.project == new.project
    )


def _open(job: Job) -> bool:
    return not job.state.ended and job.stop is None


def _accounts(job: Job) -> tuple[tuple[str, str], ...]:
    user = ("user", job.owner)
    return (user, ("project", job.project)) if job.project else (user,)
