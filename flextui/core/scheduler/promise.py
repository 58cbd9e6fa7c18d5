"""By when a task certainly starts, however early others end, unless something new comes before it.

A place is kept for it (see `keeper`), and what is there will have ended by then. But whoever else
could use that place must have no way to be first there: none that is ahead, since those ahead take
any place that becomes free, and none behind who could come ahead as accounts are charged or as
others wait for longer. Where windows close nodes meanwhile nothing is promised: whoever is let in
by them comes first.
"""

from __future__ import annotations

from math import inf

from flextui.core.scheduler.calendar import windows
from flextui.core.scheduler.future import Future
from flextui.core.scheduler.keeper import whose
from flextui.core.scheduler.kind import Kind, Waiting
from flextui.core.scheduler.line import Line


def promised(future: Future, line: Line, it: Waiting) -> float | None:
    """Wall time by which a task certainly starts; None: no such time is known. `future` has just
    looked."""
    if windows(future.snapshot):
        return None
    kept = {
        node: hold.at
        for node, holds in future.memo.holds.items()
        for hold in holds
        if hold.key == it.job.id and hold.need is it.need
    }
    at = max(kept.values(), default=inf)
    if not -inf < at < inf or _rivals(future, line, it, kept):
        return None
    return max(at, future.now.wall)


def _rivals(future: Future, line: Line, it: Waiting, kept: dict[str, float]) -> bool:
    """Whether somebody else could be first on one of these nodes."""
    place, group = line.place(it), line.group(it)
    for kind, crowd in line.kinds.items():
        before = crowd.first < place
        overtakes = crowd.groups != {group}
        if (before or overtakes) and any(_able(future, kind, node) for node in kept):
            return True
    return False


def _able(future: Future, kind: Kind, node: str) -> bool:
    """Whether one of that kind could ever use the node, as far as is known."""
    known = future.memo.futures.get(whose(kind))
    return known is None or known.able.get(node, True)
