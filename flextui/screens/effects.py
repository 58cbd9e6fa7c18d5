"""Pure: what a question says will happen, from what the screens know of jobs and nodes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence, Set

from flextui.core.model.docs import JobDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.view import View

LISTED = 200
END = "Their processes get SIGTERM, and after the grace time SIGKILL."
NAMED = 4
_LEAVING = {"service": "moves", "system": "ends"}
"""What becomes of jobs on a drained node, by their type; all others finish."""
_WORDS = re.compile(r"[\w.-]+")


def full(job: JobDoc) -> str:
    """owner/name (id)."""
    return f"{job['owner']}/{job['name']} ({job['id']})"


def running(job: JobDoc) -> str:
    """What of a job may run now, and where."""
    found = fmt.live_attempts(job)
    if not found:
        return "nothing of it runs now"
    places = ", ".join(sorted({it["node"] for it in found}))
    gpus = sum(len(it["gpus"]) for it in found)
    held = f", {gpus} GPU{'s' if gpus > 1 else ''}" if gpus else ""
    return f"{len(found)} attempt{'s' if len(found) > 1 else ''} on {places}{held}"


def of_others(jobs: Sequence[JobDoc], me: str) -> str:
    """Whose these jobs are, where they aren't mine alone."""
    others = sorted({job["owner"] for job in jobs} - {me})
    if not others:
        return ""
    if len(jobs) == 1:
        return f"It is {others[0]}'s, not yours."
    return f"Others' jobs are among them: {named(others)}."


def of_jobs(jobs: Sequence[JobDoc], effect: str, view: View) -> str:
    """What acting on these jobs does: what runs, and who waits for their room."""
    if len(jobs) == 1:
        lines = [running(jobs[0]), effect]
    else:
        lines = [effect, *(f"{full(job)}: {running(job)}" for job in jobs[:LISTED])]
        if len(jobs) > LISTED:
            lines.append(f"and {len(jobs) - LISTED} more")
    nodes = {it["node"] for job in jobs for it in fmt.live_attempts(job)}
    lines += room_for(view, nodes, {job["id"] for job in jobs})
    return "\n".join(lines)


def room_for(view: View, nodes: Set[str], but: Collection[str]) -> list[str]:
    """Who waits for what is held on these nodes."""
    waiting = [
        f"{job['owner']}/{job['name']}"
        for job in view.jobs.values()
        if job["state"] == "pending"
        and job["id"] not in but
        and not nodes.isdisjoint(_WORDS.findall(fmt.job_reason(job)))
    ]
    return [f"Waiting for room there: {named(waiting)}."] if waiting else []


def of_drain(view: View, nodes: Sequence[NodeDoc]) -> str:
    """What draining these nodes does, node by node."""
    lines = ["No new work goes there. Batch jobs finish, services move."]
    for node in nodes[:LISTED]:
        fates: dict[str, list[str]] = {"moves": [], "finishes": [], "ends": []}
        for job in _on(view, node["name"]):
            fate = _LEAVING.get(job["type"], "finishes")
            fates[fate].append(f"{job['owner']}/{job['name']}")
        told = [f"{word} {named(jobs)}" for word, jobs in fates.items() if jobs]
        lines.append(f"{node['name']}: {'; '.join(told) or 'nothing runs'}")
    return "\n".join(lines)


def of_loss(view: View, nodes: Sequence[NodeDoc]) -> str:
    """What declaring these nodes lost does."""
    whose, until = "Their", "they answer"
    if len(nodes) == 1:
        whose, until = "Its", f"{nodes[0]['name']} answers"
    lines = [f"{whose} work is replaced without waiting. It may run twice until {until}."]
    for node in nodes[:LISTED]:
        jobs = [f"{it['owner']}/{it['name']}" for it in _on(view, node["name"])]
        lines.append(f"{node['name']}: {named(jobs) if jobs else 'nothing of ours is there'}")
    return "\n".join(lines)


def _on(view: View, node: str) -> list[JobDoc]:
    """The jobs with a live attempt on a node."""
    return [
        job for job in view.jobs.values() if any(a["node"] == node for a in fmt.live_attempts(job))
    ]


def named(names: Iterable[str]) -> str:
    """The first few, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    return ", ".join(known[:NAMED]) + more
