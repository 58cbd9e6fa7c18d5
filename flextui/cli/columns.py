"""The columns that `jobs` can print, each with how its cells are made. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import click

from flextui.cli import page, text
from flextui.cli.table import Cell, Column
from flextui.core.model.docs import JobDoc
from flextui.screens import format as fmt

SERVICES = ("id", "name", "owner", "state", "tasks", "revision", "node", "gpus", "age", "reason")
DEFAULT = ("id", "name", "owner", "type", "state", "tasks", "node", "gpus", "age", "reason")


_Make = Callable[[JobDoc, page.Look], Cell | str]


def _state(job: JobDoc, look: page.Look) -> Cell:
    return Cell(*text.state(job["state"], glyph=look.glyph))


def _tasks(job: JobDoc, look: page.Look) -> Cell | str:
    if job["ended_at"] is not None:
        return text.NOTHING
    now, wanted = fmt.live_tasks(job)
    return Cell(f"{now}/{wanted}", "" if now == wanted else "yellow")


def _gpus(job: JobDoc, look: page.Look) -> str:
    part = job["resources"].get("gpu_share")
    if part and part >= 1:
        return text.share(part)
    each = part or job["resources"].get("gpus") or 0
    copies = max(1, job["count"]) * job.get("nodes", 1)
    return text.number(each * copies) if each else text.NOTHING


def _reason(job: JobDoc, look: page.Look) -> Cell:
    return Cell(fmt.job_reason(job), "red" if job["state"] == "failed" else "")


_COLUMNS: dict[str, tuple[Column, _Make]] = {
    "id": (Column("ID"), lambda job, look: job["id"]),
    "name": (Column("NAME", shrink=2, least=14), lambda job, look: job["name"]),
    "owner": (Column("OWNER", shrink=1, least=8, drop=1), lambda job, look: job["owner"]),
    "type": (Column("TYPE", drop=3), lambda job, look: job["type"]),
    "state": (Column("STATE"), _state),
    "tasks": (Column("TASKS", right=True), _tasks),
    "node": (Column("NODE", shrink=2, least=9), lambda job, look: text.joined(page.nodes_of(job))),
    "gpus": (Column("GPUS", right=True, drop=2), _gpus),
    "age": (Column("AGE", right=True), lambda job, look: fmt.age(job["submitted_at"], look.now)),
    "reason": (Column("REASON", shrink=3, least=18), _reason),
    "priority": (Column("PRIORITY", right=True), lambda job, look: str(job["priority"])),
    "project": (Column("PROJECT"), lambda job, look: job["project"] or text.NOTHING),
    "revision": (Column("REVISION", right=True), lambda job, look: str(job["revision"])),
    "count": (Column("COUNT", right=True), lambda job, look: str(job["count"])),
    "exit": (Column("EXIT", right=True), lambda job, look: fmt.exit_text(job["exit_code"], None)),
    "submitted": (Column("SUBMITTED"), lambda job, look: job["submitted_at"]),
    "ended": (Column("ENDED"), lambda job, look: job["ended_at"] or text.NOTHING),
}


NAMES = tuple(_COLUMNS)


def chosen_columns(given: str | None) -> tuple[str, ...]:
    """The columns of `-o`, or the default ones. Raises UsageError naming the nearest."""
    if given is None:
        return DEFAULT
    names = tuple(name.strip().lower() for name in given.split(",") if name.strip())
    for name in names:
        if name not in _COLUMNS:
            from flextui.core.model.problems import nearest

            like = nearest(name, _COLUMNS)
            hint = f"; did you mean '{like}'?" if like else ""
            raise click.UsageError(f"-o: no column '{name}'{hint}; there are {', '.join(_COLUMNS)}")
    if not names:
        raise click.UsageError(f"-o: no column is named; there are {', '.join(_COLUMNS)}")
    return names


def job_cells(
    jobs: Iterable[JobDoc], names: Sequence[str], look: page.Look
) -> tuple[list[Column], list[list[Cell | str]]]:
    """Headings and rows of a table of jobs; columns that were asked for all stay."""
    headings = [_COLUMNS[name][0] for name in names]
    if tuple(names) not in (DEFAULT, SERVICES):
        headings = [replace(it, drop=0) for it in headings]
    return headings, [[_COLUMNS[name][1](job, look) for name in names] for job in jobs]
