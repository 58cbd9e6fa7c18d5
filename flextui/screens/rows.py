"""Pure: documents to the rows of each table, sorted as an operator reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flextui.core.model.docs import EventDoc, GpuDoc, JobDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span
from flextui.screens.widgets.grid import Row

_ORDER = {"running": 0, "pending": 1, "failed": 2, "stopped": 3, "succeeded": 3}


def cell(text: object, role: str = "") -> Cell:
    """A cell of one span."""
    return (Span(str(text), role),)


def matcher(pattern: str) -> re.Pattern[str] | None:
    """The filter's regex, case-insensitive; None for 'no filter' or a pattern that is no regex
    (then its text is searched literally)."""
    if not pattern:
        return None
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error:
        return re.compile(re.escape(pattern), re.IGNORECASE)


def keep(rows: Iterable[Row], pattern: str) -> list[Row]:
    """Rows that match the filter; a leading `!` inverts it."""
    inverse = pattern.startswith("!")
    regex = matcher(pattern[1:] if inverse else pattern)
    if regex is None:
        return list(rows)
    return [r for r in rows if bool(regex.search(" ".join(map(fmt.plain, r.cells)))) != inverse]


def node_rows(nodes: Iterable[NodeDoc]) -> list[Row]:
    """The fleet: a node a line, its devices as cells."""
    return [
        Row(
            node["name"],
            (
                cell(node["name"], "bold" if node["state"] == "ready" else "bad"),
                fmt.state_cell(node["state"], node_word(node)),
                fmt.gpus_cell(node),
                cell(f"{fmt.size(node['memory_used_bytes'])}/{fmt.size(node['memory_bytes'])}"),
                cpu_cell(node),
                cell(" · ".join(node["jobs"]) or "–", "" if node["jobs"] else "dim"),
                fmt.node_note(node),
            ),
        )
        for node in nodes
    ]


def node_word(node: NodeDoc) -> str:
    """The state's word, with what an operator did to it."""
    if node["state"] == "ready" and node["drained"]:
        return "drained"
    if node["state"] == "ready" and node["cordoned"]:
        return "cordoned"
    return node["state"]


def cpu_cell(node: NodeDoc) -> Cell:
    """Load of all cores as a cell and a number that keeps its place."""
    if node["cpu"] is None:
        return cell("–", "dim")
    return (Span(fmt.fill(node["cpu"]), "dim"), Span(f"{node['cpu'] * 100:4.0f}%"))


def job_rows(jobs: Iterable[JobDoc], now: float) -> list[Row]:
    """Live jobs first, then those that ended, newest first."""
    ordered = sorted(jobs, key=lambda j: j["submitted_at"], reverse=True)
    ordered.sort(key=lambda j: _ORDER.get(j["state"], 9) if j["ended_at"] is None else 9)
    return [
        Row(
            job["id"],
            (
                cell(job["id"], "dim"),
                cell(job["name"], "bold"),
                cell(job["owner"]),
                cell(job["type"], "dim"),
                fmt.state_cell(job["state"]),
                tasks_cell(job),
                cell(fmt.active_node(job)),
                cell(job["resources"].get("gpus") or "–"),
                cell(fmt.age(job["submitted_at"], now), "dim"),
                cell(fmt.job_reason(job), "bad" if job["state"] == "failed" else "dim"),
            ),
        )
        for job in ordered
    ]


def tasks_cell(job: JobDoc) -> Cell:
    """Running of wanted."""
    running, wanted = fmt.live_tasks(job)
    if job["ended_at"]:
        return cell("–", "dim")
    return cell(f"{running}/{wanted}", "" if running == wanted else "warn")


def attempt_rows(job: JobDoc, now: float) -> list[Row]:
    """Every attempt of every task, newest first within its task; a task that has none shows too."""
    rows = []
    for task in job["tasks"]:
        waiting = task["state"] == "pending"
        if waiting or not task["attempts"]:
            delay = fmt.parse_time(task["not_before"])
            word = f"restarting in {fmt.span_of(delay - now)}" if delay and delay > now else None
            rows.append(
                Row(
                    f"{job['id']}.{task['index']}",
                    (
                        cell(task["index"]),
                        fmt.state_cell("restarting" if word else task["state"], word),
                        cell(task["node"] or "–"), cell("–", "dim"), cell("–", "dim"),
                        cell("–", "dim"), cell(task["reason"], "dim"),
                    ),
                )
            )  # fmt: skip
        for attempt in reversed(task["attempts"]):
            start = fmt.parse_time(attempt["started_at"])
            end = fmt.parse_time(attempt["ended_at"]) or now
            ran = fmt.long_span(end - start) if start else "–"
            code = fmt.exit_text(attempt["exit_code"], attempt["signal"])
            rows.append(
                Row(
                    attempt["id"],
                    (
                        cell(attempt["id"].split(".", 1)[-1]),
                        fmt.state_cell(attempt["state"]),
                        cell(attempt["node"]),
                        cell(len(attempt["gpus"]) or "–"),
                        cell(ran),
                        cell(code, "bad" if attempt["exit_code"] else ""),
                        cell(attempt["reason"] or ("replaced" if attempt["replaced"] else "")),
                    ),
                )
            )
    return rows


def gpu_rows(nodes: Iterable[NodeDoc]) -> list[Row]:
    """All devices of the given nodes, each with its live bars and who holds it."""
    return [
        Row(f"{node['name']}:{gpu['index']}", gpu_cells(node, gpu))
        for node in nodes
        for gpu in node["gpus"]
    ]


def gpu_cells(node: NodeDoc, gpu: GpuDoc) -> tuple[Cell, ...]:
    """Facts of one device; what the driver doesn't tell is n/a."""
    util = gpu["utilization"]
    who = ", ".join(gpu["jobs"]) or gpu["reason"]
    fine = gpu["state"] in ("free", "used")
    return (
        cell(node["name"]),
        cell(gpu["index"]),
        cell(fmt.short_model(gpu["model"])),
        (fmt.gpu_span(gpu), Span(f" {gpu['state']}", "" if fine else "warn")),
        (
            Span(fmt.bar(fmt.gpu_fraction(gpu), 10), "ok"),
            Span(f" {fmt.size(gpu['memory_used_bytes'])}/{fmt.size(gpu['memory_bytes'])}"),
        ),
        (
            Span(fmt.bar(None if util is None else util / 100, 6), "accent"),
            Span("  n/a" if util is None else f" {util:3}%"),
        ),
        cell("n/a" if gpu["temperature_c"] is None else f"{gpu['temperature_c']}°"),
        cell("n/a" if gpu["power_w"] is None else f"{gpu['power_w']:.0f}W"),
        cell(who, "" if gpu["jobs"] else "warn"),
    )  # fmt: skip


def process_rows(node: NodeDoc) -> list[Row]:
    """Processes on a node's devices with their true owners."""
    return [
        Row(
            f"{gpu['index']}:{process['pid']}",
            (
                cell(gpu["index"]),
                cell(process["pid"], "dim"),
                cell(process["true_owner"] or process["user"]),
                cell(process["job"] or "no job of flextui", "" if process["job"] else "warn"),
                cell(fmt.size(process["memory_bytes"])),
                cell(process["container"] or "–", "dim"),
                cell(process["command"] or process["name"], "dim"),
            ),
        )
        for gpu in node["gpus"]
        for process in gpu["processes"]
    ]


def event_rows(events: Iterable[EventDoc]) -> list[Row]:
    """History, newest first."""
    return [
        Row(
            str(event["seq"]),
            (
                cell(event["at"][11:19], "dim"),
                cell(event["kind"], "bad" if event["kind"].endswith((".lost", ".failed")) else ""),
                cell(event["actor"]),
                cell(event["node"] or "–", "dim"),
                cell(event["attempt"] or event["job"] or "–"),
                cell(event["text"]),
            ),
        )
        for event in sorted(events, key=lambda e: -e["seq"])
    ]
