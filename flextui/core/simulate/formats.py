"""Public forms of traces: openb (Alibaba 2023), Muri and Philly. Each row becomes a `TraceJob`.

The forms differ in units and in what they leave out; from here on they don't. What each column
means is told in docs/simulate.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from flextui.core.model.problems import BadInput, Problem, quote
from flextui.core.simulate.rows import BadCell, Row, header_of, read_rows, text_lines
from flextui.core.simulate.trace import Ask, Trace, TraceJob

Format = Literal["openb", "muri", "philly", "history"]

_MIB = 2**20
_EPOCH = 1_704_067_200.0
"""When traces that don't say began: 1 January 2024, UTC."""
MAX_GPUS = 100_000


def read_trace(path: str | Path, form: Format | None = None) -> Trace:
    """The trace in a file; without `form` it is known by its first line. Raises `BadInput`."""
    name = str(path)
    lines = text_lines(path)
    if form is None:
        form = _guess(name, lines)
    if form == "history":
        from flextui.core.simulate.history import read_history

        return read_history(name, lines)
    return _READERS[form](name, lines)


def _guess(name: str, lines: Sequence[str]) -> Format:
    if lines and lines[0].lstrip().startswith("{"):
        return "history"
    header = set(header_of(lines))
    for form, columns in _COLUMNS.items():
        if header.issuperset(columns):
            return form
    forms = "; ".join(f"{form}: {', '.join(columns)}" for form, columns in _COLUMNS.items())
    what = "no known form of a trace" if lines else "the file is empty"
    raise BadInput([Problem(name, 1, 1, what, f"JSON lines of `--export`, or columns of {forms}")])


# ── openb ──────────────────────────────────────────────────────────────────────────────────────

_OPENB = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
_OPENB_TIMES = ("creation_time", "deletion_time")


def _openb(name: str, lines: Sequence[str]) -> Trace:
    timed = set(header_of(lines)).issuperset(_OPENB_TIMES)
    jobs = read_rows(name, lines, _OPENB, lambda row: _pod(row, timed))
    return Trace(name, tuple(jobs), _EPOCH, timed)


def _pod(row: Row, timed: bool) -> TraceJob:
    gpus = row.whole("num_gpu", most=MAX_GPUS)
    milli = row.whole("gpu_milli", most=1000)
    if gpus and not milli:
        raise BadCell("gpu_milli", f"0 of each of {gpus} GPUs", "1 to 1000")
    if gpus > 1 and milli != 1000:
        raise BadCell("gpu_milli", f"{milli} of each of {gpus} GPUs", "1000 for more than one GPU")
    share = milli if gpus == 1 and milli < 1000 else 0
    ask = Ask(
        gpus=0 if share else gpus,
        share_milli=share,
        cpus=row.whole("cpu_milli") / 1000,
        memory_bytes=row.whole("memory_mib") * _MIB,
        models=tuple(it for it in row.text("gpu_spec").split("|") if it) if gpus else (),
    )
    at = run = 0.0
    if timed:
        at = row.number("creation_time")
        start = row.number("scheduled_time") if row.text("scheduled_time") else at
        run = max(0.0, row.number("deletion_time") - max(at, start))
    name = f"pod-{ask.gpus}-{share}-{ask.cpus * 1000:.0f}-{ask.memory_bytes // _MIB}"
    return TraceJob(at, run, "openb", name=name, ask=ask)


# ── Muri ───────────────────────────────────────────────────────────────────────────────────────

_MURI = ("num_gpu", "submit_time", "duration")


def _muri(name: str, lines: Sequence[str]) -> Trace:
    jobs = read_rows(name, lines, _MURI, _muri_job)
    return Trace(name, tuple(jobs), _EPOCH)


def _muri_job(row: Row) -> TraceJob:
    return TraceJob(
        at=row.number("submit_time") / 1000,
        run_s=row.number("duration") / 1000,
        owner="muri",
        name=_job_name(row.text("model_name")),
        ask=Ask(row.whole("num_gpu", most=MAX_GPUS)),
    )


def _job_name(text: str) -> str:
    """A job's name of what a trace calls it."""
    kept = "".join(it if it.isascii() and it.isalnum() else "-" for it in text.lower())
    return kept.strip("-")[:63] or "job"


# ── Philly ─────────────────────────────────────────────────────────────────────────────────────

_PHILLY = ("timestamp", "duration", "num_gpus", "cluster")


def _philly(name: str, lines: Sequence[str]) -> Trace:
    jobs = read_rows(name, lines, _PHILLY, _philly_job)
    began = min(job.at for job in jobs)
    moved = tuple(replace(job, at=job.at - began) for job in jobs)
    projects = dict.fromkeys((it.project for it in moved), 1.0)
    return Trace(name, moved, began, projects=projects)


def _philly_job(row: Row) -> TraceJob:
    text = row.text("timestamp")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        expected = "a time such as 2017-10-09 07:01:55"
        raise BadCell("timestamp", f"timestamp: {quote(text)} isn't a time", expected) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    cluster = _job_name(row.word("cluster"))
    return TraceJob(
        at=(at - _UNIX) / timedelta(seconds=1),
        run_s=row.number("duration"),
        owner=cluster,
        project=cluster,
        ask=Ask(row.whole("num_gpus", most=MAX_GPUS)),
    )


_UNIX = datetime(1970, 1, 1, tzinfo=UTC)

_READERS: dict[Format, Callable[[str, Sequence[str]], Trace]] = {
    "openb": _openb,
    "muri": _muri,
    "philly": _philly,
}
_COLUMNS: dict[Format, tuple[str, ...]] = {"openb": _OPENB, "muri": _MURI, "philly": _PHILLY}
