"""Pure: which attempts' logs a selection of jobs, tasks, attempts and nodes means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flextui.core.commands import LogPiece, LogRequest, Offset
from flextui.core.logbook.lines import Key
from flextui.core.model.docs import AttemptDoc, JobDoc
from flextui.core.model.ids import task_of_attempt

FEW = 16
"""Up to so many attempts, all of them are shown; else the newest of each task."""
MOST_JOBS = 64
_NEVER = ("never", "refused")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where lines come from."""

    attempt: str
    job: str
    name: str
    task: int
    number: int
    node: str
    began: float
    """Unix milliseconds."""
    ended: bool = False


@dataclass(slots=True)
class Selection:
    """What is read, and what is followed."""

    origins: dict[str, Origin] = field(default_factory=dict)
    """By attempt."""
    follows: list[LogRequest] = field(default_factory=list)
    left_out: int = 0
    """Jobs over the bound."""
    older: int = 0
    """Attempts that aren't the newest of their task and aren't shown."""


def select(
    jobs: Mapping[str, JobDoc], words: Sequence[str], *, every: bool | None = None
) -> Selection:
    """The attempts that words mean: `j1` a job, `j1.0` a task, `j1.0.2` an attempt, `@gpu1` all
    that runs on a node. `every` attempt or the newest of each task; None: as many as are few."""
    chosen = [(job, attempt) for job, attempt in _all(jobs, words) if attempt["why"] not in _NEVER]
    found = Selection()
    ids = list(dict.fromkeys(job["id"] for job, _ in chosen))
    kept = set(ids[:MOST_JOBS])
    found.left_out = len(ids) - len(kept)
    chosen = [it for it in chosen if it[0]["id"] in kept]
    newest = {task_of_attempt(attempt["id"]): attempt["id"] for _, attempt in chosen}
    exact = {word for word in words if word.count(".") == 2}
    if every is None:
        every = len(chosen) <= FEW
    for job, attempt in chosen:
        key = task_of_attempt(attempt["id"])
        if key is None:
            continue
        if not every and attempt["id"] not in exact and newest[key] != attempt["id"]:
            found.older += 1
            continue
        found.origins[attempt["id"]] = _origin(job, attempt, key.index)
    found.follows = list(_follows(jobs, words, found.origins, kept))
    return found


def _all(jobs: Mapping[str, JobDoc], words: Sequence[str]) -> Iterable[tuple[JobDoc, AttemptDoc]]:
    """In the order of jobs, tasks and attempts, each once."""
    told: set[str] = set()
    for word in words:
        node = word.removeprefix("@") if word.startswith("@") else ""
        names = list(jobs) if node else [word.partition(".")[0]]
        for name in names:
            job = jobs.get(name)
            for task in job["tasks"] if job else ():
                for attempt in task["attempts"]:
                    here = attempt["node"] == node and attempt["ended_at"] is None
                    if attempt["id"] not in told and (here if node else _means(word, attempt)):
                        told.add(attempt["id"])
                        assert job is not None
                        yield job, attempt


def _means(word: str, attempt: AttemptDoc) -> bool:
    return f"{attempt['id']}.".startswith(f"{word}.")


def _origin(job: JobDoc, attempt: AttemptDoc, index: int) -> Origin:
    began = datetime.fromisoformat(attempt["started_at"] or attempt["placed_at"]).timestamp()
    number = int(attempt["id"].rpartition(".")[2])
    ended = attempt["ended_at"] is not None
    return Origin(
        attempt["id"], job["id"], job["name"], index, number, attempt["node"], began * 1000, ended
    )


def _follows(
    jobs: Mapping[str, JobDoc], words: Sequence[str], origins: Mapping[str, Origin], kept: set[str]
) -> Iterable[LogRequest]:
    """What has to be followed to hear all that is still to come."""
    nodes = {word[1:] for word in words if word.startswith("@")}
    plain = [word for word in words if not word.startswith("@")]
    for word in plain:
        job = jobs.get(word.partition(".")[0])
        if job is None or job["id"] not in kept or job["ended_at"] is not None:
            continue
        if word.count(".") == 2:
            yield LogRequest(job["id"], attempt=word, follow=True)
        elif word.count(".") == 1:
            yield LogRequest(job["id"], tasks=(int(word.partition(".")[2]),), follow=True)
        else:
            yield LogRequest(job["id"], follow=True)
    for node in sorted(nodes):
        for name in dict.fromkeys(it.job for it in origins.values() if it.node == node):
            yield LogRequest(name, follow=True, node=node)


def begins(request: LogRequest, read: Mapping[Key, int]) -> tuple[LogPiece, ...]:
    """Where following goes on after what was read."""
    return tuple(
        LogPiece(attempt, stream, begin=Offset(at))
        for (attempt, stream), at in read.items()
        if attempt.partition(".")[0] == request.job
    )


def colours(origins: Iterable[Origin]) -> dict[str, int]:
    """Attempt → a number for its task: the same for all attempts of it, in order from 0."""
    numbers: dict[tuple[str, int], int] = {}
    return {it.attempt: numbers.setdefault((it.job, it.task), len(numbers)) for it in origins}


def labels(origins: Iterable[Origin]) -> dict[str, str]:
    """Attempt → what tells it from the others of the selection: job, rank, attempt, node."""
    known = list(origins)
    jobs = {it.job for it in known}
    tasks = {(it.job, it.task) for it in known}
    retried = {it.attempt for it in known if it.number > 1} | {
        it.attempt for it in known
        if any(other.number > 1 and (other.job, other.task) == (it.job, it.task) for other in known)
    }  # fmt: skip
    nodes = {it.node for it in known}
    named = {
        name: {it.job for it in known if it.name == name} for name in {it.name for it in known}
    }
    found = {}
    for it in known:
        parts = [it.name] if len(jobs) > 1 else []
        if len(named[it.name]) > 1:
            parts.append(it.job)
        if sum(1 for job, _ in tasks if job == it.job) > 1 or len(known) == 1:
            parts.append(f"r{it.task}")
        if it.attempt in retried:
            parts.append(f"#{it.number}")
        if len(nodes) > 1 or len(known) == 1:
            parts.append(it.node)
        found[it.attempt] = " ".join(parts) or it.node
    return found
