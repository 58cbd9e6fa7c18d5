"""Live jobs by name and by who has them: what each submit asks, kept so that it needn't search."""

from __future__ import annotations

from collections.abc import Mapping

from flextui.core.model.state import Job
from flextui.core.table import Table


class LiveJobs:
    """Two indexes over the jobs that haven't ended."""

    def __init__(
        self,
        named: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
        counts: Mapping[tuple[str, str], int] | None = None,
        *,
        own: bool = False,
    ) -> None:
        self.named: Table[tuple[str, str], tuple[str, ...]] = Table(named or {}, own=own)
        """(owner, name) → ids of those that nobody has stopped, oldest first."""
        self.counts: Table[tuple[str, str], int] = Table(counts or {}, own=own)
        """("user", name) and ("project", name) → how many there are."""

    def put(self, old: Job | None, new: Job) -> None:
        """A job was added, or replaces its older record."""
        before = () if old is None or old.state.ended else _accounts(old)
        after = () if new.state.ended else _accounts(new)
        if before != after:
            self._count(before, -1)
            self._count(after, 1)
        was_open = old is not None and _open(old)
        if was_open != _open(new):
            key = (new.owner, new.name)
            ids = self.named.get(key) or ()
            if _open(new):
                ids = (*ids, new.id)
            else:  # the oldest end first, mostly: it is found soon
                at = ids.index(new.id)
                ids = (*ids[:at], *ids[at + 1 :])
            if ids:
                self.named.put(key, ids)
            else:
                self.named.drop(key)

    def _count(self, keys: tuple[tuple[str, str], ...], change: int) -> None:
        for key in keys:
            count = (self.counts.get(key) or 0) + change
            if count > 0:
                self.counts.put(key, count)
            else:
                self.counts.drop(key)


def _open(job: Job) -> bool:
    return not job.state.ended and job.stop is None


def _accounts(job: Job) -> tuple[tuple[str, str], ...]:
    user = ("user", job.owner)
    return (user, ("project", job.project)) if job.project else (user,)
