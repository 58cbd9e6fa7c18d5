"""A plan as the editor tells it: where it would go now and why there, or why it waits and until
when; what it leaves of the quota; what an edit restarts. Spans, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flextui.core.model.docs import NodeDoc
from flextui.screens import format as fmt
from flextui.screens.editing.review import effect_spans
from flextui.screens.format import Span
from flextui.screens.waiting import expected_text, place_text

Line = list[Span]
SHOWN_NODES = 8
SHOWN_BLOCKS = 6


def plan_lines(answer: Mapping[str, Any], nodes: Mapping[str, NodeDoc], now: float) -> list[Line]:
    """The plan of every job of the text."""
    lines: list[Line] = []
    jobs = answer.get("jobs") or ()
    for job in jobs:
        if len(jobs) > 1:
            lines.append([Span(job["name"], "bold")])
        lines += job_lines(job, nodes, now)
    return lines


def job_lines(job: Mapping[str, Any], nodes: Mapping[str, NodeDoc], now: float) -> list[Line]:
    """One job: what an edit does to it, where it goes, why it waits, what is left of quotas."""
    lines: list[Line] = []
    if job.get("action") == "unchanged":
        lines.append([Span("the same as what runs", "dim")])
    elif job.get("action") == "revise":
        lines += [[it] for it in effect_spans(job)]
    tasks: Sequence[Mapping[str, Any]] = job.get("tasks") or ()
    placed = [it for it in tasks if it.get("node") and not (it.get("stays") or it.get("ends"))]
    waits = [it for it in tasks if not it.get("node")]
    lines += _places(placed, nodes, len(tasks))
    lines += _waits(waits, len(tasks), now)
    for quota in job.get("quotas") or ():
        over = quota["gpus"] > quota["of"]
        text = f"quota {quota['whose']} {quota['gpus']:g}/{quota['of']:g} GPUs after"
        lines.append([Span(text, "bad" if over else "dim")])
    refused = refusals(job)
    for warning in job.get("warnings") or ():
        lines.append([Span(f"! {warning}", "bad" if warning in refused else "warn")])
    return lines


def refusals(job: Mapping[str, Any]) -> list[str]:
    """Why it would be refused as it is."""
    warnings = job.get("warnings") or ()
    return [it for it in warnings if it.startswith("submitting it would be refused")]


def offered(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The smallest change of its spec with which it would start, or after which it ever could."""
    if takes := job.get("takes"):
        return list(takes)
    waits = [it for it in job.get("tasks") or () if not it.get("node")]
    first = (waits[0].get("takes") or ()) if waits else ()
    return list(first[0]) if first else []


def _places(
    tasks: Sequence[Mapping[str, Any]], nodes: Mapping[str, NodeDoc], of: int
) -> list[Line]:
    if not tasks:
        return []
    by_node: dict[str, list[Mapping[str, Any]]] = {}
    for task in tasks:
        by_node.setdefault(task["node"], []).append(task)
    what = "now would go" if len(tasks) == of else f"{len(tasks)} of {of} now would go"
    lines: list[Line] = [[Span(what, "bold")]]
    for name, here in list(by_node.items())[:SHOWN_NODES]:
        lines += _on_node(name, here, nodes.get(name))
    if len(by_node) > SHOWN_NODES:
        lines.append([Span(f" and {len(by_node) - SHOWN_NODES} more nodes", "dim")])
    return lines


def _on_node(name: str, tasks: Sequence[Mapping[str, Any]], node: NodeDoc | None) -> list[Line]:
    gpus = [index for task in tasks for index in task.get("gpus") or ()]
    line: Line = [Span(" "), Span(name, "ok")]
    if len(tasks) > 1:
        line.append(Span(f" ×{len(tasks)}"))
    if not gpus:
        return [line]
    taken = [it for it in node["gpus"] if it["index"] in gpus] if node else []
    models = dict.fromkeys(fmt.short_model(it["model"]) for it in taken)
    share = tasks[0].get("gpu_share")
    count = f"{share:g} of 1×" if share else f"{len(gpus)}×"
    line.append(Span(f"  {count} {'/'.join(models) or 'GPU'}"))
    numbers = ",".join(str(it) for it in sorted(it for it in gpus if it is not None)[:8])
    line.append(Span(f"  GPU {numbers}", "dim"))
    anew = any(task.get("restarts") for task in tasks)  # its own devices count as taken yet
    reason = fit(len(gpus), node) if not share and not anew else ""
    return [line, [Span(f"   {reason}", "dim")]] if reason else [line]


def fit(gpus: int, node: NodeDoc | None) -> str:
    """How a node is left with so many more of its GPUs in use: why it packs well, or doesn't."""
    if node is None:
        return ""
    free = sum(it["state"] == "free" for it in node["gpus"])
    of, left = len(node["gpus"]), max(0, free - gpus)
    if not left:
        return f"fills the box: {free} of {of} were free"
    return f"{free} of {of} free, {left} left"


def _waits(tasks: Sequence[Mapping[str, Any]], of: int, now: float) -> list[Line]:
    if not tasks:
        return []
    what = "would wait" if len(tasks) == of else f"{len(tasks)} of {of} would wait"
    task = tasks[0]  # the others of a job mostly wait for the same
    why = task.get("why") or task
    lines: list[Line] = [[Span(what, "warn"), Span(f"  {task.get('reason') or ''}")]]
    if start := expected_text(why.get("expected"), now):
        lines.append([Span(" start ", "dim"), Span(start)])
    if place := place_text({**why, "factors": ()}):
        lines.append([Span(" place ", "dim"), Span(place)])
    lines += [
        [Span(" would start ", "dim"), Span(hint, "accent")] for hint in why.get("would_help") or ()
    ]
    blocks = why.get("blocks") or ()
    lines += [[Span(f" {_block(block)}")] for block in blocks[:SHOWN_BLOCKS]]
    if len(blocks) > SHOWN_BLOCKS:
        lines.append([Span(f" and {len(blocks) - SHOWN_BLOCKS} more", "dim")])
    return lines


def _block(block: Mapping[str, Any]) -> str:
    nodes = block.get("nodes") or []
    where = f"{nodes[0]} +{len(nodes) - 1}" if len(nodes) > 2 else " ".join(nodes)
    line = f"{where:<10} {block['text']}"
    unnamed = [name for name in block.get("held_by") or () if name not in block["text"]]
    if unnamed:
        line += f", held by {', '.join(unnamed[:3])}"
    return fmt.local_times(line) + (f", clears {block['clears']}" if block.get("clears") else "")
