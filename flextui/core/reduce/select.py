"""What people call a job: its id, a name of their own, or owner/name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from flextui.core.commands import CommandError
from flextui.core.model.problems import nearest, quote
from flextui.core.model.state import Identity, Job

_ID = re.compile(r"j[0-9]+")
MANY = 10
"""Candidates named in one error."""


class Jobs(Protocol):
    """Jobs by id: a table of a draft, or of a snapshot."""

    def get(self, key: str, /) -> Job | None: ...

    def values(self) -> Iterable[Job]: ...


def find_job(live: Jobs, recent: Jobs, who: Identity, selector: str) -> Job:
    """The one job that the caller means.

    An id is that job. A name is the caller's own newest job of that name; where only others have
    one it is ambiguous, with the candidates. Raises `CommandError` (input).
    """
    if _ID.fullmatch(selector) and (found := live.get(selector) or recent.get(selector)):
        return found
    jobs = [*live.values(), *recent.values()]
    owner, slash, name = selector.rpartition("/")
    if not slash:
        owner, name = who.user, selector
    named = [job for job in jobs if job.name == name]
    own = [job for job in named if job.owner == owner]
    if own:
        return max(own, key=lambda job: job.seq)
    raise not_found(selector, (job.full_name for job in named), (job.name for job in jobs))


def not_found(selector: str, others: Iterable[str] = (), names: Iterable[str] = ()) -> CommandError:
    """The error for a selector that names no job, with what may have been meant."""
    candidates = tuple(sorted(set(others)))[:MANY]
    if candidates:
        text = f"you have no job {quote(selector)}; there is {', '.join(candidates)}"
        return CommandError("input", text, candidates=candidates)
    text = f"there is no job {quote(selector)}"
    if like := nearest(selector.rpartition("/")[2], set(names)):
        return CommandError("input", f"{text}; did you mean {like}?", candidates=(like,))
    return CommandError("input", text)
