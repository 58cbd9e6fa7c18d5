"""Pure: how a node is reached, what it said of itself, and what became of it, newest first."""

from __future__ import annotations

from collections.abc import Sequence

from flextui.core.model.docs import EventDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.fields.why import labelled
from flextui.screens.format import Cell, Span

_FACTS = (
    ("hostname", "host"), ("user", "account"), ("os", "system"), ("kernel", "kernel"),
    ("python", "python"), ("driver_version", "driver"), ("agent", "agent"), ("root", "state in"),
    ("cgroup", "limits by"),
)  # fmt: skip
LABEL = 10
BAD = (".lost", ".failed", ".error", ".unreachable", ".xid")


def lines(node: NodeDoc, events: Sequence[EventDoc], width: int, now: float) -> list[Cell]:
    """The page."""
    since = f"{node['state']} for {fmt.age(node['since'], now)}"
    said = since + (f": {node['reason']}" if node["reason"] else "")
    found = _row("link", f"{node['transport']} to {node['host']}", width)
    found += _row("now", said, width, "" if node["state"] == "ready" else "bad")
    if node["driver"]:
        found += _row("driven by", node["driver"], width, "warn")
    found += _row("GPU driver", node["nvml"] or "nothing was told", width)
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
        found += event_lines(event, width, now)
    return found


def _row(name: str, text: str, width: int, role: str = "") -> list[Cell]:
    return labelled(name, text, width, role, label=LABEL)


def event_lines(event: EventDoc, width: int, now: float) -> list[Cell]:
    """`14:02:11  node.lost  flextui  no answer for 38s`."""
    role = "bad" if event["kind"].endswith(BAD) else ""
    head = f"{fmt.day_clock(event['at'], now):>14}  "
    text = event["text"] + (f"  ({event['actor']})" if event["actor"] != "flextui" else "")
    kind = f"{event['kind']:<18} "
    body = fmt.wrapped(text, width - len(head) - len(kind))
    first = (Span(head, "dim"), Span(kind, role), Span(body[0]))
    blank = " " * (len(head) + len(kind))
    return [first, *((Span(blank), Span(line)) for line in body[1:])]
