"""Pure: why a job waits, as a page: its place and what gave it that, its start, what is in the way
on which node, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flextui.core.model.docs import JobDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span
from flextui.screens.waiting import expected_text, factor_points, ordinal

LABEL = 7
SURENESS = {
    "certain": Span("● ", "ok"), "likely": Span("◑ ", "busy"), "rough": Span("◔ ", "warn"),
    "unknown": Span("? ", "warn"),
}  # fmt: skip
_NODE = 12


def page(answer: Mapping[str, Any], job: JobDoc | None, width: int, now: float) -> list[Cell]:
    """What `why` answered about a job; tasks with the same explanation are told once."""
    found: list[Cell] = []
    alike: dict[str, list[int]] = {}
    told: dict[str, Mapping[str, Any]] = {}
    for task in answer.get("tasks", ()):
        if task.get("state") != "pending":
            continue
        key = repr((task["summary"], task.get("blocks"), task.get("would_help")))
        alike.setdefault(key, []).append(task["index"])
        told.setdefault(key, task)
    if job is not None:
        found.append(head(job, now))
    for key, indices in alike.items():
        if len(alike) > 1 or len(indices) > 1:
            found.append((Span(_tasks(indices), "bold"),))
        found += task_lines(told[key], width, now)
        found.append(())
    return found[:-1] if found and not found[-1] else found


def _tasks(indices: Sequence[int]) -> str:
    if len(indices) == 1:
        return f"task {indices[0]}"
    if len(indices) > 6:
        return f"{len(indices)} tasks, {indices[0]} to {indices[-1]}"
    return f"tasks {', '.join(map(str, indices))}"


def head(job: JobDoc, now: float) -> Cell:
    """`llama-pre-2 ◌ pending 14m`."""
    return (
        Span(f"{job['owner']}/{job['name']}  ", "bold"), *fmt.state_cell(job["state"]),
        Span(f" {fmt.age(job['submitted_at'], now)}", "dim"),
    )  # fmt: skip


def task_lines(task: Mapping[str, Any], width: int, now: float) -> list[Cell]:
    """Why one task waits."""
    found = labelled("waits", task["summary"], width, "bold")
    expected = task.get("expected")
    if start := expected_text(expected, now):
        sign = SURENESS.get(expected["sureness"], SURENESS["unknown"]) if expected else Span("")
        found += labelled("start", start, width, sign=sign)
    if task.get("position"):
        found += place_lines(task, width)
    found += block_lines(task.get("blocks") or (), width)
    for hint in task.get("would_help") or ():
        found += labelled("help", f"would start {hint}", width, "ok")
    return found


def text_lines(task: Mapping[str, Any], width: int, now: float) -> list[str]:
    """The same without roles."""
    return [fmt.plain(line) for line in task_lines(task, width, now)]


def place_lines(task: Mapping[str, Any], width: int) -> list[Cell]:
    """Its place, each factor on a line of its own, and who is before it."""
    of = f" of {task['waiting']}" if task.get("waiting") else ""
    found = labelled("place", f"{ordinal(task['position'])}{of}", width, "bold")
    for factor in task.get("factors") or ():
        text = f"{factor['name']:<11} {factor_points(factor):>12}   {factor['text']}"
        found += labelled("", text, width, "", hang=27)
    if task.get("behind"):
        found += labelled("", task["behind"], width, "dim")
    if ahead := task.get("ahead"):
        found += labelled("", f"ahead of it: {', '.join(ahead[:5])}", width, "dim")
    return found


def block_lines(blocks: Iterable[Mapping[str, Any]], width: int) -> list[Cell]:
    """What is in the way on each node; nodes with the same trouble share a line."""
    found: list[Cell] = []
    for block in blocks:
        nodes = block.get("nodes") or []
        where = f"{nodes[0]} +{len(nodes) - 1}" if len(nodes) > 1 else " ".join(nodes)
        text = block["text"]
        unnamed = [name for name in block.get("held_by") or () if name not in text]
        if unnamed:
            more = f" +{len(unnamed) - 4}" if len(unnamed) > 4 else ""
            text += f"; held by {', '.join(unnamed[:4])}{more}"
        if block.get("clears"):
            text += f"; {block['clears']}"
        role = "warn" if block["code"] in _BAD else ""
        found += labelled(where or block["code"], text, width, role, label=_NODE)
    return found


_BAD = (
    "gpus_cordoned",
    "gpus_foreign",
    "node_down",
    "node_drained",
    "node_cordoned",
    "gpus_unknown",
)


def labelled(
    name: str,
    text: str,
    width: int,
    role: str = "",
    *,
    sign: Span | None = None,
    label: int = LABEL,
    hang: int = 0,
) -> list[Cell]:
    """A text beside its label, in as many lines as it takes."""
    before = sign or Span("")
    room = max(12, width - label - 1 - len(before.text))
    lines = fmt.wrapped(fmt.local_times(text), room, hang)
    first = (Span(fmt.cut(name, label), "dim"), Span(" "), before, Span(lines[0], role))
    blank = " " * (label + 1 + len(before.text))
    return [first, *((Span(blank), Span(line, role)) for line in lines[1:])]
