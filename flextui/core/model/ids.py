"""Names of things, in one place, so that logs, folders, screens and the wire agree.

A job is `j17`, its second task `j17.1`, that task's third attempt `j17.1.3`. Ids are given out by
the one core of a state directory and never used again; on a node an attempt's folder lies below
the core's own id, so two cores can't meet in a name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ATTEMPT = re.compile(r"([^.]+)\.([0-9]{1,9})\.[0-9]{1,9}")


class TaskKey(NamedTuple):
    """One replica, array element or gang rank of a job."""

    job: str
    index: int  # type: ignore[assignment]  # hides tuple.index

    def __str__(self) -> str:
        return f"{self.job}.{self.index}"


def job_id(seq: int) -> str:
    """The short id of the job with this sequence number."""
    return f"j{seq}"


def attempt_id(task: TaskKey, number: int) -> str:
    """The id of a task's attempt; numbers start at 1 and only grow."""
    return f"{task.job}.{task.index}.{number}"


def task_of_attempt(attempt: str) -> TaskKey | None:
    """The task an attempt id belongs to, or None if it isn't one of ours."""
    found = _ATTEMPT.fullmatch(attempt)
    return TaskKey(found[1], int(found[2])) if found else None
