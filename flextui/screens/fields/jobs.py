"""The columns of jobs, and of one job's attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flextui.core.model.docs import AttemptDoc, JobDoc, TaskDoc
from flextui.screens import format as fmt
from flextui.screens.fields.heat import IDLE
from flextui.screens.fields.use import Now, Use, indices
from flextui.screens.format import Cell, cell
from flextui.screens.listing import Column, Field

_ORDER = {"running": 0, "pending": 1, "failed": 2, "stopped": 3, "succeeded": 3}


def order(job: JobDoc) -> tuple[int, float]:
    """Live jobs first, then those that ended, newest first."""
    rank = _ORDER.get(job["state"], 9) if job["ended_at"] is None else 9
    return (rank, -(fmt.parse_time(job["submitted_at"]) or 0.0))


def _reason(job: JobDoc, now: float) -> Cell:
    return cell(fmt.job_reason(job, now), "bad" if job["state"] == "failed" else "dim")


def _tasks(job: JobDoc, _now: float) -> Cell:
    running, wanted = fmt.live_tasks(job)
    if job["ended_at"]:
        return cell("–", "dim")
    return cell(f"{running}/{wanted}", "" if running == wanted else "warn")


def _started(job: JobDoc) -> float | None:
    starts = [a["started_at"] for t in job["tasks"] for a in t["attempts"] if a["started_at"]]
    return fmt.parse_time(min(starts)) if starts else None


def _ran(job: JobDoc, now: float) -> Cell:
    start = _started(job)
    if start is None:
        return cell("–", "dim")
    return cell(fmt.long_span(max(0.0, (fmt.parse_time(job["ended_at"]) or now) - start)))


def gpus(job: JobDoc) -> float:
    """What its live attempts hold; of what doesn't run, what all its tasks ask for."""
    live = fmt.live_attempts(job)
    if live:
        return sum(a["share"] / 1000 if a.get("share") else len(a["gpus"]) for a in live)
    wants, tasks = job["resources"], sum(1 for it in job["tasks"] if not it.get("retired"))
    part = wants.get("gpu_share")
    each = float(wants.get("gpus") or (part if isinstance(part, int | float) else 0))
    return each * max(1, tasks)


def _gpus(job: JobDoc, _now: float) -> Cell:
    return cell(f"{found:g}" if (found := gpus(job)) else "–")


def _model(job: JobDoc) -> str:
    return "|".join(job["resources"].get("gpu_model") or ())


def _cpus(job: JobDoc) -> float:
    cpus = job["resources"].get("cpus")
    return float(cpus) if isinstance(cpus, int | float) else 0.0


def _exit(job: JobDoc) -> str:
    return "–" if job["exit_code"] is None else str(job["exit_code"])


_FIELDS: tuple[Field[JobDoc], ...] = (
    Field(Column("id", 4, 9), "i", lambda j, _: cell(j["id"], "dim"), lambda j: _number(j["id"])),
    Field(Column("name", 8, 28), "n", lambda j, _: cell(j["name"], "bold"), lambda j: j["name"]),
    Field(Column("owner", 5, 12, drop=4), "o", lambda j, _: cell(j["owner"]), lambda j: j["owner"]),
    Field(
        Column("project", 5, 14, drop=7), "j", lambda j, _: cell(j["project"] or "–", "dim"),
        lambda j: j["project"] or None, wide=140,
    ),
    Field(Column("type", 5, drop=6), "y", lambda j, _: cell(j["type"], "dim"), lambda j: j["type"]),
    Field(
        Column("state", 11, 13), "s", lambda j, _: fmt.state_cell(j["state"]),
        lambda j: _ORDER.get(j["state"], 9),
    ),
    Field(
        Column("priority", 8, 8, right=True, drop=8), "p", lambda j, _: cell(j["priority"]),
        lambda j: j["priority"], wide=150, large_first=True,
    ),
    Field(
        Column("tasks", 5, right=True, drop=3), "t", _tasks, lambda j: fmt.live_tasks(j)[1],
        large_first=True,
    ),
    Field(
        Column("node", 5, 18, drop=2), "d", lambda j, _: cell(fmt.active_node(j)),
        lambda j: None if (where := fmt.active_node(j)) == "–" else where,
    ),
    Field(
        Column("gpus", 4, right=True, drop=5), "g", _gpus, gpus, large_first=True,
    ),
    Field(
        Column("model", 5, 16, drop=9), "m", lambda j, _: cell(_model(j) or "any", "dim"),
        lambda j: _model(j) or None, wide=170,
    ),
    Field(
        Column("cpus", 4, right=True, drop=9), "c", lambda j, _: cell(f"{_cpus(j):g}"), _cpus,
        wide=170, large_first=True,
    ),
    Field(
        Column("age", 4, right=True, drop=1), "a",
        lambda j, now: cell(fmt.age(j["submitted_at"], now), "dim"),
        lambda j: fmt.parse_time(j["submitted_at"]), live=True, large_first=True,
    ),
    Field(
        Column("ran", 6, right=True, drop=8), "r", _ran, _started, wide=130, live=True,
    ),
    Field(
        Column("exit", 4, right=True, drop=8), "x", lambda j, _: cell(_exit(j)),
        lambda j: j["exit_code"], wide=170, large_first=True,
    ),
    Field(
        Column("rev", 3, right=True, drop=9), "v", lambda j, _: cell(j["revision"], "dim"),
        lambda j: j["revision"], shown=False, large_first=True,
    ),
    Field(Column("reason", 24, 200), "e", _reason, lambda j: fmt.job_reason(j) or None),
)  # fmt: skip


def fields(use: Use) -> tuple[Field[JobDoc], ...]:
    """The columns; what jobs use of their GPUs is as `use` knows it."""

    def busy(job: JobDoc) -> float | None:
        found = use.job(job)
        return found.busy if found else None

    def memory(job: JobDoc) -> int | None:
        found = use.job(job)
        return found.used if found else None

    def memory_cell(job: JobDoc, _now: float) -> Cell:
        found = use.job(job)
        if found is None:
            return cell("–", "dim")
        return cell(f"{fmt.size(found.used)}/{fmt.size(found.total)}")

    live = (
        Field(
            Column("busy", 4, right=True, drop=6), "b",
            lambda j, _: _busy_cell(busy(j)), busy, wide=110, live=True, moving=True,
            large_first=True,
        ),
        Field(
            Column("gpu mem", 9, right=True, drop=8), "k", memory_cell, memory, wide=150,
            live=True, moving=True, large_first=True,
        ),
    )  # fmt: skip
    after = 1 + next(at for at, it in enumerate(_FIELDS) if it.name == "gpus")
    return (*_FIELDS[:after], *live, *_FIELDS[after:])


def _busy_cell(busy: float | None) -> Cell:
    if busy is None:
        return cell("–", "dim")
    return cell(f"{busy:.0f}%", "warn" if busy <= IDLE else "")


FIELDS = fields(Use())
"""Names and keys, where nothing is shown."""

GROUPS = {
    "project": lambda job: job["project"] or "",
    "user": lambda job: job["owner"],
    "node": fmt.active_node,
    "state": lambda job: job["state"],
}


def summary(jobs: Iterable[JobDoc]) -> str:
    """What the heading of a group says of it."""
    count, states, held = 0, dict.fromkeys(_ORDER, 0), 0.0
    for job in jobs:
        count += 1
        states[job["state"]] = states.get(job["state"], 0) + 1
        held += gpus(job) if job["state"] == "running" else 0
    said = [f"{count} {'job' if count == 1 else 'jobs'}"]
    said += [f"{number} {state}" for state, number in states.items() if number]
    return " · ".join(said) + (f" · {held:g} GPUs" if held else "")


def asks(job: JobDoc) -> Sequence[str]:
    """What each of its tasks asks for."""
    wants = job["resources"]
    parts: list[str] = []
    if wants.get("gpus"):
        model = "|".join(wants.get("gpu_model") or ()) or "any model"
        parts.append(f"{wants['gpus']} GPU{'s' if wants['gpus'] > 1 else ''} ({model})")
    elif wants.get("gpu_share"):
        parts.append(f"gpu_share {wants['gpu_share']}")
    cpus = wants.get("cpus", "–")
    parts.append(f"cpus {cpus:g}" if isinstance(cpus, float) else f"cpus {cpus}")
    if wants.get("memory"):
        memory = wants["memory"]
        parts.append(f"memory {fmt.size(memory) if isinstance(memory, int) else memory}")
    if (nodes := job.get("nodes") or 1) > 1:
        parts[0] = f"{nodes} nodes, each {parts[0]}"
    return parts


def about(job: JobDoc, now: float) -> str:
    """One line on the job under the cursor."""
    parts = (
        f"{job['owner']}/{job['name']}", fmt.plain(fmt.state_cell(job["state"])),
        fmt.job_reason(job, now), f"asks for {' · '.join(asks(job))}",
    )  # fmt: skip
    return "  ".join(part for part in parts if part)


def _number(job_id: str) -> int:
    return int(job_id[1:]) if job_id[1:].isdigit() else 0


# ── attempts ───────────────────────────────────────────────────────────────────────────────────


class Try(NamedTuple):
    """An attempt of a task, or a task that waits for one (`attempt` is None)."""

    task: TaskDoc
    attempt: AttemptDoc | None
    numbers: str = ""
    """Which devices of its node it has."""
    now: Now | None = None
    """What it uses of them, while it lives."""


def tries(job: JobDoc, use: Use) -> dict[str, Try]:
    """Every attempt of every task, newest first in its task; what waits shows too."""
    found: dict[str, Try] = {}
    for task in job["tasks"]:
        if task["state"] == "pending" or not task["attempts"]:
            found[f"{job['id']}.{task['index']}"] = Try(task, None)
        for attempt in reversed(task["attempts"]):
            now = use.attempts([attempt]) if fmt.is_live(attempt["state"]) else None
            found[attempt["id"]] = Try(task, attempt, indices(use.devices(attempt)), now)
    return found


def _try_state(it: Try, now: float) -> Cell:
    if it.attempt is not None:
        return fmt.state_cell(it.attempt["state"])
    delay = fmt.parse_time(it.task["not_before"])
    if delay is not None and delay > now:
        return fmt.state_cell("restarting", f"restarting in {fmt.span_of(delay - now)}")
    return fmt.state_cell(it.task["state"])


def _try_ran(it: Try, now: float) -> Cell:
    if it.attempt is None or (start := fmt.parse_time(it.attempt["started_at"])) is None:
        return cell("–", "dim")
    return cell(fmt.long_span(max(0.0, (fmt.parse_time(it.attempt["ended_at"]) or now) - start)))


def _try_exit(it: Try, _now: float) -> Cell:
    if it.attempt is None:
        return cell("–", "dim")
    code = it.attempt["exit_code"]
    return cell(fmt.exit_text(code, it.attempt["signal"]), "bad" if code else "")


def _try_reason(it: Try) -> str:
    if it.attempt is None:
        return fmt.local_times(it.task["reason"])
    return it.attempt["reason"] or ("replaced" if it.attempt["replaced"] else "")


def _try_node(it: Try) -> str | None:
    return it.task["node"] if it.attempt is None else it.attempt["node"]


def _try_name(it: Try) -> str:
    return str(it.task["index"]) if it.attempt is None else it.attempt["id"].split(".", 1)[-1]


def _try_gpus(it: Try) -> int:
    return len(it.attempt["gpus"]) if it.attempt else 0


def _try_gpu_cell(it: Try, _now: float) -> Cell:
    """Their numbers; how many where nobody knows these."""
    return cell(it.numbers or _try_gpus(it) or "–")


def _try_memory(it: Try, _now: float) -> Cell:
    if it.now is None:
        return cell("–", "dim")
    return cell(f"{fmt.size(it.now.used)}/{fmt.size(it.now.total)}")


def _day(at: str | None, now: float) -> Cell:
    return cell(fmt.day_clock(at, now), "dim")


ATTEMPTS: tuple[Field[Try], ...] = (
    Field(
        Column("attempt", 7, 9), "t", lambda it, _: cell(_try_name(it)),
        lambda it: it.task["index"],
    ),
    Field(Column("state", 11, 18), "s", _try_state, lambda it: fmt.plain(_try_state(it, 0.0))),
    Field(
        Column("node", 6, 18), "d", lambda it, _: cell(_try_node(it) or "–"), _try_node,
    ),
    Field(Column("gpus", 4, 14, drop=3), "g", _try_gpu_cell, _try_gpus),
    Field(
        Column("busy", 4, right=True, drop=4), "b",
        lambda it, _: _busy_cell(it.now.busy if it.now else None),
        lambda it: it.now.busy if it.now else None, live=True, large_first=True,
    ),
    Field(
        Column("gpu mem", 9, right=True, drop=5), "k", _try_memory,
        lambda it: it.now.used if it.now else None, live=True, large_first=True, wide=100,
    ),
    Field(
        Column("started", 8, 14, drop=6), "a",
        lambda it, now: _day(it.attempt and it.attempt["started_at"], now),
        lambda it: it.attempt and it.attempt["started_at"], wide=130,
    ),
    Field(
        Column("ended", 5, 14, drop=6), "n",
        lambda it, now: _day(it.attempt and it.attempt["ended_at"], now),
        lambda it: it.attempt and it.attempt["ended_at"], wide=150,
    ),
    Field(
        Column("ran", 6, right=True, drop=2), "r", _try_ran,
        lambda it: it.attempt and it.attempt["started_at"], live=True,
    ),
    Field(
        Column("exit", 4, 10, right=True), "x", _try_exit,
        lambda it: it.attempt and it.attempt["exit_code"],
    ),
    Field(
        Column("reason", 20, 200), "e",
        lambda it, _: cell(_try_reason(it), "dim" if it.attempt is None else ""),
        lambda it: _try_reason(it) or None,
    ),
)  # fmt: skip
