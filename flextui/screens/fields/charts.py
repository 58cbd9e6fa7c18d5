"""Pure: numbers over time as lines of a chart, with what they are now and were at most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from rich.cells import cell_len

from flextui.core.model.docs import GpuDoc, HistoryDoc, NodeDoc, PastDoc, TrackDoc
from flextui.core.model.series import columns, highest, latest, reading, top_of
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span

Values = Sequence[float | None]
_FILL = " ▁▂▃▄▅▆▇█"
GAP = 2
"""Cells between charts that stand side by side."""
LEAST = 26
"""The least cells of one of them."""
_ROLES = {"busy": "ok", "cpu": "ok", "cores": "ok", "temperature": "warn", "power": "warn"}


def band(values: Values, top: float, height: int) -> list[str]:
    """Lines of columns that grow from the ground, the highest line first; what isn't known is
    blank, and what is more than nothing shows."""
    lines = []
    for level in range(height - 1, -1, -1):
        line = ""
        for value in values:
            eighths = 0 if value is None else round(value / top * height * 8) - level * 8
            if value and level == 0:
                eighths = max(1, eighths)
            line += _FILL[max(0, min(8, eighths))]
        lines.append(line)
    return lines


def chart(
    name: str, kind: str, values: Values, width: int, height: int, until: int = -1, now: str = ""
) -> list[Cell]:
    """A title with the newest and the highest value, and the chart below it. `now` replaces the
    newest value, where more can be said of it."""
    top = top_of(kind, values)
    shown = columns(values, width, until)
    most = reading(kind, highest(values))
    title = f"{name} {now or reading(kind, latest(values))}"
    room = width - len(title) - 1
    said = [f"most {most}", ""]
    if top != 100:
        said.insert(0, f"most {most}, top {reading(kind, top)}")
    right = next(it for it in said if len(it) <= max(0, room))
    head = (Span(title, "bold"), Span(f" {right:>{max(0, room)}}", "dim"))
    drawn = [line.rjust(width) for line in band(shown, top, height)]
    return [pad(head, width), *((Span(line, _ROLES.get(kind, "accent")),) for line in drawn)]


def pad(cell: Cell, width: int) -> Cell:
    """The cell in exactly so many columns."""
    found: list[Span] = []
    left = width
    for span in cell:
        text = fmt.cut(span.text, left) if cell_len(span.text) > left else span.text
        if text:
            found.append(Span(text, span.role))
        left -= cell_len(text)
        if left <= 0:
            return tuple(found)
    return (*found, Span(" " * left))


def beside(charts: Sequence[Sequence[Cell]], width: int, across: int) -> list[Cell]:
    """Charts of equal height in rows of so many."""
    found: list[Cell] = []
    for at in range(0, len(charts), across):
        row = charts[at : at + across]
        for line in zip(*row, strict=True):
            cells: list[Span] = []
            for part in line:
                cells += [*pad(part, width), Span(" " * GAP)]
            found.append(tuple(cells[:-1]))
    return found


def fitting(width: int, count: int) -> tuple[int, int]:
    """How many charts stand side by side, so that rows are full, and how wide each is."""
    most = max(1, (width + GAP) // (LEAST + GAP))
    across = max(it for it in range(1, count + 1) if count % it == 0 and it <= most)
    return across, (width + GAP) // across - GAP


def ground(every_s: float, count: int, width: int) -> Cell:
    """The line below charts: from when to when."""
    per = max(1, -(-count // max(1, width)))
    shown = min(count, per * width)
    begins = f"{fmt.span_of(shown * every_s)} ago"
    at = width - min(width, -(-shown // per))
    text = " " * min(at, width - len(begins) - 4) + begins
    return (Span(f"{text}{'now':>{max(4, width - len(text))}}", "dim"),)


# ── a node ─────────────────────────────────────────────────────────────────────────────────────

_NODE = (("cpu", "cpu"), ("memory", "memory"), ("disk", "disk"), ("load", "load"))
_GPU = (("busy", "busy"), ("memory", "memory"), ("temperature", "temperature"), ("power", "power"))
_SHORT = {"temperature": "temp"}
_NOTHING_YET = "nothing is known yet: a sample is taken every 5 s"


def node_lines(
    node: NodeDoc,
    past: PastDoc | None,
    width: int,
    height: int,
    only: str = "",
    fits: Callable[[str], bool] = bool,
) -> list[Cell]:
    """The charts of a node and of its devices; with `only` (a UUID) of that device alone. `fits`
    tells by a device's heading whether it shows."""
    if past is None or not _length(past):
        return [(Span(_NOTHING_YET, "dim"),)]
    across, wide = fitting(width, 4)
    time = ground(past["every_s"], _length(past), wide)
    found: list[Cell] = [] if only else [*own_lines(node, past, width, height), ()]
    for gpu in node["gpus"]:
        series = past["gpus"].get(gpu["uuid"])
        head = _gpu_head(gpu)
        if series is None or only not in ("", gpu["uuid"]) or not fits(fmt.plain(head)):
            continue
        if not only:
            found.append(head)
        charts = [
            chart(_SHORT.get(name, name), kind, series.get(name, ()), wide, height,
                  past["until"], _gpu_now(gpu, name))
            for name, kind in _GPU
        ]  # fmt: skip
        found += beside(charts, wide, across)
        found.append(time if only else ())
    return found


def own_lines(node: NodeDoc, past: PastDoc | None, width: int, height: int) -> list[Cell]:
    """The charts of a node itself, and the line of time below them."""
    if past is None or not _length(past):
        return [(Span(_NOTHING_YET, "dim"),)]
    across, wide = fitting(width, len(_NODE))
    charts = [
        chart(name, kind, past["node"].get(name, ()), wide, height, past["until"],
              _node_now(node, name))
        for name, kind in _NODE
    ]  # fmt: skip
    return [*beside(charts, wide, across), ground(past["every_s"], _length(past), wide)]


def _length(past: PastDoc) -> int:
    return len(next(iter(past["node"].values()), ()))


def _gpu_head(gpu: GpuDoc) -> Cell:
    model = fmt.short_model(gpu["model"]) + (f" {gpu['mig']}" if gpu["mig"] else "")
    who = ", ".join(gpu["jobs"]) or gpu["reason"]
    return (
        Span(f"GPU {gpu['index']} ", "accent"), Span(f"{model}  "), fmt.gpu_span(gpu),
        Span(f" {gpu['state']}  "), Span(who, "" if gpu["jobs"] else "warn"),
    )  # fmt: skip


def _node_now(node: NodeDoc, name: str) -> str:
    if name == "memory":
        return f"{fmt.size(node['memory_used_bytes'])} of {fmt.size(node['memory_bytes'])}"
    if name == "disk":
        return f"{fmt.size(node['disk_free_bytes'])} free"
    return ""


def _gpu_now(gpu: GpuDoc, name: str) -> str:
    if name == "memory":
        return f"{fmt.size(gpu['memory_used_bytes'])} of {fmt.size(gpu['memory_bytes'])}"
    if name == "power" and gpu["power_w"] is not None and gpu["power_limit_w"]:
        return f"{gpu['power_w']:.0f} of {gpu['power_limit_w']:.0f}W"
    return ""


# ── a job ──────────────────────────────────────────────────────────────────────────────────────

_TRACK = (("busy", "busy", "GPUs busy"), ("gpu_memory", "bytes", "GPU memory"),
          ("cpu", "cores", "CPUs"), ("memory", "bytes", "memory"))  # fmt: skip


def job_lines(
    history: HistoryDoc | None,
    width: int,
    room: int,
    live: Collection[str] = (),
    fits: Callable[[str], bool] = bool,
) -> list[Cell]:
    """What each attempt used over all its life, the newest attempt first; charts grow with the
    `room` in lines. `live` are those attempts that run; `fits` tells by attempt and node which
    show."""
    known = (history or {}).get("tracks") or ()
    tracks = [it for it in known if fits(f"{it['attempt']} on {it['node']}")]
    found: list[Cell] = []
    for track in tracks:
        found += [*_track_lines(track, width, room // len(tracks), track["attempt"] in live), ()]
    if not found:
        text = "asking the core …" if history is None else _NOTHING
        return [(Span(text, "dim"),)]
    return found[:-1]


_NOTHING = "nothing is known: it hasn't run since the core started, or that is long ago"


def _track_lines(track: TrackDoc, width: int, room: int, live: bool) -> list[Cell]:
    series = track["series"]
    count = len(series["cpu"])
    has_gpus = any(it is not None for it in series["busy"])
    shown = [it for it in _TRACK if has_gpus or it[0] in ("cpu", "memory")]
    across, wide = fitting(width, len(shown))
    height = max(2, min(8, (room - 3) * across // len(shown) - 1))
    charts = [chart(name, kind, series[key], wide, height) for key, kind, name in shown]
    span = fmt.long_span(count * track["every_s"])
    head = (
        Span(f"{track['attempt']} ", "accent"), Span(f"on {track['node']}, "),
        Span(f"{span} of its life", "dim"),
    )  # fmt: skip
    time = ground(track["every_s"], count, wide) if live else _ended(span, wide)
    return [head, *beside(charts, wide, across), time]


def _ended(span: str, width: int) -> Cell:
    """The line below the charts of what runs no more."""
    return (Span(f"{span} before its end".ljust(width - 3) + "end", "dim"),)


def merged(known: PastDoc | None, new: PastDoc) -> PastDoc:
    """What is known of a node, with what came after it."""
    if known is None or not known["node"]:
        return new
    kept = 720
    fresh = len(next(iter(new["node"].values()), ()))
    gap = new["until"] - known["until"] - fresh
    if not new["node"] or gap < 0 or new["until"] <= known["until"]:
        return known
    blank = [None] * min(kept, gap)
    length = len(next(iter(known["node"].values()), ()))

    def grown(
        before: Mapping[str, Values], after: Mapping[str, Values]
    ) -> dict[str, list[float | None]]:
        return {
            name: [*before.get(name, [None] * length), *blank, *values][-kept:]
            for name, values in after.items()
        }

    return {
        "every_s": new["every_s"], "until": new["until"],
        "node": grown(known["node"], new["node"]),
        "gpus": {uuid: grown(known["gpus"].get(uuid, {}), of) for uuid, of in new["gpus"].items()},
    }  # fmt: skip
