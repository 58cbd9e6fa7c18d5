"""A need together with who asks and for how long: what decides whether a place is open to it.

Many tasks share a `Need`; reservations, quotas and what is kept for others also look at the
account and at when the work is sure to have ended.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from flextui.core.scheduler.need import Need


class Ask(NamedTuple):
    """One task's request at one instant."""

    need: Need
    job: str
    """The full name of the job, for those who are told what holds a place."""
    project: str
    user: str
    until: float = inf
    """Wall time at which it has ended at the latest, by its time limit; infinite without one."""
    groups: tuple[str, ...] = ()
    """The user's groups."""
    likely: float = inf
    """Wall time at which it has probably ended, for what may be preempted if it hasn't."""
    key: str = ""
    """The job's id: others may have its name."""
