"""Pure: how a node is reached, what it said of itself, and what became of it, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flextui.core.model.docs import EventDoc, JobDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields.why import labelled
from flextui.screens.format import Cell, Span

_FACTS = (
    ("hostname", "host"), ("user", "account"), ("os", "system"), ("kernel", "kernel"),
    ("python", "python"), ("agent", "agent"), ("root", "state in"), ("cgroup", "limits by"),
)  # fmt: skip
LABEL = 10
BAD = (".lost", ".failed", ".error", ".unreachable", ".xid")


def lines(
    node: NodeDoc, events: Sequence[EventDoc], width: int, now: float, jobs: Mapping[str, JobDoc]
) -> list[Cell]:
    """The page; `jobs` are those that events may be of."""
    since = f"{node['state']} for {fmt.age(node['since'], now)}"
    said = since + (f": {node['reason']}" if node["reason"] else "")
    found = _row("link", f"{node['transport']} to {node['host']}", width)
    found += _row("now", said, width, "" if node["state"] == "ready" else "bad")
    if node["driver"]:
        found += _row("driven by", node["driver"], width, "warn")
    version = node["facts"].get("driver_version") or ""
    found += _row("GPU driver", f"{version} {node['nvml'] or 'nothing was told'}".strip(), width)
    load = " ".join(f"{it:.2f}" for it in node["load"])
    if load:
        found += _row("load", f"{load} (1, 5 and 15 minutes)", width)
    for key, name in _FACTS:
        if value := node["facts"].get(key):
            found += _row(name, str(value), width)
    if uptime := node["facts"].get("uptime_s"):
        found += _row("up for", fmt.long_span(float(uptime)), width)
    if node["labels"]:
        found += _row("labels", " ".join(f"{k}={v}" for k, v in node["labels"].items()), width)
    found += [(), (Span("events, newest first", "bold"),)]
    if not events:
        found.append((Span("none is known", "dim"),))
    for event in reversed(events):
        job = jobs.get(event["job"] or "")
        found += event_lines(event, width, now, f"{job['owner']}/{job['name']}" if job else "")
    return found


def _row(name: str, text: str, width: int, role: str = "") -> list[Cell]:
    return labelled(name, text, width, role, label=LABEL)


def event_lines(event: EventDoc, width: int, now: float, job: str = "") -> list[Cell]:
    """`14:02:11  node.lost  no answer for 38s`; the name of a job before what happened to it."""
    role = "bad" if event["kind"].endswith(BAD) else ""
    head = f"{fmt.day_clock(event['at'], now):>14}  "
    whose = job or event["job"] or ""
    text = f"{whose}: " if whose and whose not in event["text"] else ""
    text += event["text"] + (f"  ({event['actor']})" if event["actor"] != "flextui" else "")
    kind = f"{event['kind']:<18} "
    body = fmt.wrapped(text, width - len(head) - len(kind))
    first = (Span(head, "dim"), Span(kind, role), Span(body[0]))
    blank = " " * (len(head) + len(kind))
    return [first, *((Span(blank), Span(line)) for line in body[1:])]
