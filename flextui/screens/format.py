"""Pure words and glyphs for the screens: documents in, spans of text out.

A span is text and a role ('ok', 'bad', 'dim' …); the widgets turn roles into the theme's colours.
Every state has its glyph and its word, so colour only repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from math import ceil
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from flextui.core.model.docs import AttemptDoc, GpuDoc, JobDoc, NodeDoc
from flextui.core.model.terminal import neutralise
from flextui.screens.characters import JOINING


class Span(NamedTuple):
    """A piece of text in one role."""

    text: str
    role: str = ""


Cell = tuple[Span, ...]


def cell(text: object, role: str = "") -> Cell:
    """A cell of one span."""
    return (Span(str(text), role),)


_STATES = {
    "running": ("●", "ok"),
    "starting": ("◔", "busy"),
    "placed": ("◔", "busy"),
    "pending": ("◌", "dim"),
    "succeeded": ("✓", "ok"),
    "failed": ("✗", "bad"),
    "killed": ("■", "warn"),
    "stopped": ("■", "dim"),
    "lost": ("✗", "bad"),
    "unknown": ("?", "warn"),
    "restarting": ("↻", "warn"),
    "ready": ("●", "ok"),
    "connecting": ("◔", "busy"),
    "observed": ("◑", "warn"),
    "unreachable": ("✗", "bad"),
}

_ASCII = str.maketrans({
    "●": "*", "◔": "o", "◌": ".", "✓": "+", "✗": "x", "■": "]", "↻": "@", "◑": "o", "▒": "%",
    "⊘": "/", "█": "#", "▇": "#", "▆": "=", "▅": "=", "▄": "-", "▃": "-", "▂": ".", "▁": ".",
    "·": ".", "▸": ">", "×": "x", "…": "~", "─": "-", "│": "|", "▏": "-", "▎": "-", "▍": "-",
    "▌": "-", "▋": "=", "▊": "=", "▉": "=", "–": "-", "→": ">", "←": "<", "↑": "^", "↓": "v",
    "◂": "<", "▾": "v", "▴": "^", "°": "C", "≈": "~", "≥": ">", "≤": "<",
})  # fmt: skip


_ISO = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
"""How the core's words tell a time."""


def safe(text: str) -> str:
    """`text` on one line, without what could move the cursor, turn the direction of a line, or
    join characters so that nobody knows how wide they are."""
    if text.isprintable() and (text.isascii() or JOINING.search(text) is None):
        return text
    text = neutralise(text.replace("\t", " ").replace("\n", " "), colours=False)
    return JOINING.sub("", text)


def safe_lines(text: str) -> str:
    """`safe` for a text of several lines."""
    return "\n".join(map(safe, text.split("\n")))


def cut(text: str, width: int) -> str:
    """A text as exactly so many cells, safe to draw: filled with blanks, or its end left out."""
    text = safe(text)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def shortened(text: str, width: int) -> str:
    """A text in at most so many cells, its end left out where that is too few."""
    return cut(text, width) if cell_len(safe(text)) > width else safe(text)


def wrapped(text: str, width: int, hang: int = 0) -> list[str]:
    """A text in lines of at most so many cells, broken between words where that can be; those
    after the first begin `hang` cells in. At least one line."""
    width = max(8, width)
    hang = min(hang, width // 2)
    found, line, room = [], "", width
    for word in safe(text).split(" "):
        while cell_len(word) > room and cell_len(word) > width - hang:
            if line.strip():
                found.append(line)
                line, room = " " * hang, width - hang
            piece = set_cell_size(word, room).rstrip() or word[:1]  # blanks of another kind
            found.append(line + piece)
            word, line, room = word[len(piece) :], " " * hang, width - hang
        if cell_len(word) > room:
            found.append(line)
            line, room = " " * hang, width - hang
        line += word + " "
        room -= cell_len(word) + 1
    return [it.rstrip() for it in [*found, line]]


def flow(parts: Iterable[str], width: int, gap: str = "   ") -> list[str]:
    """Parts side by side, as many in a line as fit, none broken that fits in one."""
    found: list[str] = []
    for part in parts:
        if found and cell_len(found[-1]) + cell_len(gap) + cell_len(part) <= width:
            found[-1] += gap + part
        else:
            found.append(part)
    return found


def to_ascii(text: str) -> str:
    """The same text, as long, for a terminal that draws no more than ASCII."""
    return text.translate(_ASCII)


def state_cell(state: str, word: str | None = None) -> Cell:
    """Glyph and word of a state of a job, task, attempt or node."""
    glyph, role = _STATES.get(state, ("?", "warn"))
    return (Span(f"{glyph} ", role), Span(word or state, role))


def parse_time(text: str | None) -> float | None:
    """Unix seconds of an ISO 8601 UTC string."""
    if not text:
        return None
    return datetime.fromisoformat(text).timestamp()


def local_times(text: str) -> str:
    """Words of the core for somebody who reads them: the times in them are told in local time."""
    return _ISO.sub(_local, text) if "Z" in text else text


def _local(found: re.Match[str]) -> str:
    return datetime.fromisoformat(found.group()).astimezone().strftime("%Y-%m-%d %H:%M")


def day_clock(at: str | None, now: float) -> str:
    """A local time to the second, with its day where that isn't today: at most 14 cells."""
    wall = parse_time(at)
    if wall is None:
        return "–"
    then, today = datetime.fromtimestamp(wall), datetime.fromtimestamp(now)
    same = then.date() == today.date()
    return then.strftime("%H:%M:%S" if same else "%m-%d %H:%M:%S")


def both_times(at: str | None) -> str:
    """A time with its day, local and in UTC where that differs."""
    wall = parse_time(at)
    if wall is None:
        return "–"
    local, utc = datetime.fromtimestamp(wall).astimezone(), datetime.fromtimestamp(wall, UTC)
    if not local.utcoffset():
        return utc.strftime("%a %Y-%m-%d %H:%M:%SZ")
    day = "" if local.date() == utc.date() else "%m-%d "
    return f"{local:%a %Y-%m-%d %H:%M:%S} ({utc.strftime(day + '%H:%M:%SZ')})"


def age(since: str | None, now: float) -> str:
    """How long ago, in at most four characters: 8s, 12m, 3h, 2d."""
    at = parse_time(since)
    return "–" if at is None else span_of(max(0.0, now - at))


def span_of(seconds: float) -> str:
    """A duration in one unit, the largest that gives at least one; two digits are enough here."""
    if seconds < 60:
        return f"{int(seconds)}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m"
    if seconds < 48 * 3600:
        return f"{int(seconds // 3600)}h"
    return f"{int(seconds // 86400)}d"


def long_span(seconds: float) -> str:
    """A duration in its two largest units: 2h10m, 3m05s."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def size(amount: int | None) -> str:
    """Bytes in binary units with at most one decimal: 31G, 1.5T."""
    if amount is None:
        return "n/a"
    value = float(amount)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 1024 or unit == "T":
            small = value < 9.95 and unit not in "BK"
            return f"{value:.1f}{unit}" if small else f"{value:.0f}{unit}"
        value /= 1024
    raise AssertionError("unreachable")


_FILL = "·▁▂▃▄▅▆▇█"


def fill(fraction: float | None) -> str:
    """One cell that shows a fraction of 1 by its height; `?` if it isn't known."""
    if fraction is None:
        return "?"
    if fraction <= 0.01:
        return _FILL[0]
    return _FILL[min(8, 1 + int(min(fraction, 1.0) * 7.99))]


def bar(fraction: float | None, width: int) -> str:
    """A horizontal bar of `width` cells."""
    if fraction is None:
        return "n/a".ljust(width)
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return text.ljust(width, "·")


def gpu_fraction(gpu: GpuDoc) -> float | None:
    """How full its memory is, 0 to 1."""
    used = gpu["memory_used_bytes"]
    if used is None or not gpu["memory_bytes"]:
        return None
    return used / gpu["memory_bytes"]


def gpu_span(gpu: GpuDoc) -> Span:
    """A device as one cell: its fill is memory, its role the owner or what is wrong."""
    if gpu["state"] == "cordoned":
        return Span("⊘", "warn")
    if gpu["state"] in ("lost", "error"):
        return Span("✗", "bad")
    if gpu["state"] == "foreign":
        return Span("▒", "warn")
    glyph = fill(gpu_fraction(gpu))
    if gpu["state"] == "used":
        return Span("▁" if glyph == "·" else glyph, "ok")
    return Span(glyph, "dim")


def short_model(model: str) -> str:
    """The part of a GPU's name that people say: A100-80, H100, 3090."""
    drop = {
        "NVIDIA",
        "GeForce",
        "Tesla",
        "RTX",
        "Quadro",
        "PCIe",
        "SXM4",
        "SXM5",
        "HBM3",
        "Graphics",
    }
    plain = re.sub(r"-(SXM\d|PCIE)\b", "", model, flags=re.IGNORECASE)
    words = [w for w in plain.split() if w not in drop]
    text = "-".join(words[:2]) or model
    return text.replace("-80GB", "-80").replace("-40GB", "-40").replace("GB", "")[:12]


def gpus_cell(node: NodeDoc) -> Cell:
    """A node's devices, a run of cells for each model: the runs of all nodes begin alike."""
    if not node["gpus"]:
        return (Span("–", "dim"),)
    spans: list[Span] = []
    by_model: dict[str, list[GpuDoc]] = {}
    for gpu in node["gpus"]:
        by_model.setdefault(short_model(gpu["model"]), []).append(gpu)
    for number, (model, gpus) in enumerate(by_model.items()):
        if number:
            spans.append(Span(" · ", "dim"))
        spans.extend(gpu_span(gpu) for gpu in gpus)
        spans.append(Span(f" {model}", "dim"))
    return tuple(spans)


def active_node(job: JobDoc) -> str:
    """Where its live attempts are, folded."""
    nodes = sorted({it["node"] for it in live_attempts(job)})
    if len(nodes) > 2:
        return f"{nodes[0]} +{len(nodes) - 1}"
    return " ".join(nodes) or "–"


def is_live(state: str) -> bool:
    """Whether an attempt in this state may be running."""
    return state in ("placed", "starting", "running", "unknown")


def live_attempts(job: JobDoc) -> list[AttemptDoc]:
    """Those of all its tasks that may be running."""
    return [a for t in job["tasks"] for a in t["attempts"] if is_live(a["state"])]


def live_tasks(job: JobDoc) -> tuple[int, int]:
    """(running now, wanted); what was scaled away isn't."""
    tasks = [task for task in job["tasks"] if not task.get("retired")]
    running = sum(1 for t in tasks if t["state"] == "running")
    wanted = max(len(tasks), job["count"]) if job["type"] == "service" else max(1, len(tasks))
    return running, wanted


def job_reason(job: JobDoc, now: float | None = None) -> str:
    """The one line that says why it isn't simply running; `now` counts down to a stop that can
    still be taken back."""
    stop = None if now is None or job["ended_at"] else parse_time(job.get("stops_at"))
    if stop is not None and now is not None and stop > now:
        return f"stops in {ceil(stop - now)}s"
    if job["reason"]:
        return local_times(job["reason"])
    for task in job["tasks"]:
        if task["state"] != "running" and task["reason"] and not task.get("retired"):
            return local_times(task["reason"])
    return ""


def exit_text(code: int | None, signal: int | None) -> str:
    """An exit as people write it: 0, 1, or the signal's number."""
    if signal:
        return f"signal {signal}"
    return "–" if code is None else str(code)


def left_out(gpu: GpuDoc) -> bool:
    """Whether no job gets it because the inventory says so: nothing is wrong with it."""
    return gpu["state"] == "cordoned" and not gpu.get("cordoned", True)


def node_note(node: NodeDoc) -> Cell:
    """What an operator should know of a node at a glance."""
    if node["state"] != "ready":
        return (
            Span(
                node["reason"] or node["state"], "bad" if node["state"] != "connecting" else "dim"
            ),
        )
    notes: list[Span] = []
    if node["drained"]:
        notes.append(Span("drained ", "warn"))
    if node["cordoned"]:
        notes.append(Span("cordoned ", "warn"))
    for gpu in node["gpus"]:
        bad = gpu["state"] in ("cordoned", "lost", "error", "foreign") and not left_out(gpu)
        if bad and gpu["reason"]:
            glyph = gpu_span(gpu).text
            notes.append(Span(f"{glyph} GPU{gpu['index']}: {gpu['reason']} ", "warn"))
    if node["orphans"]:
        notes.append(Span(f"{len(node['orphans'])} orphans ", "warn"))
    return tuple(notes) or (Span(""),)


def plain(cell: Cell) -> str:
    """A cell's text without its roles."""
    return "".join(span.text for span in cell)
