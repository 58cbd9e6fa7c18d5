"""The jobs beside the picture of devices: who holds some and until when, and who waits for some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from flextui.core.model.docs import EndDoc, JobDoc, PlacementDoc, WantDoc
from flextui.screens import format as fmt
from flextui.screens.fields.picture import Codes, Marks, holdings
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field
from flextui.screens.waiting import clock, expected_text

_SOON_S = 60.0


class Placed(NamedTuple):
    """A job that holds devices, or waits for some (`devices` is 0)."""

    job: JobDoc
    letter: str
    role: str
    devices: int
    nodes: int
    left: str
    ends: float | None


def placed(
    jobs: Iterable[JobDoc], codes: Codes, ends: Mapping[str, EndDoc], now: float
) -> dict[str, Placed]:
    """The jobs of the list, by id; `codes` is brought up to date."""
    live = [job for job in jobs if not job["ended_at"]]
    by_job: dict[str, list[Any]] = {}
    for of in holdings(live).values():
        for it in of:
            by_job.setdefault(it.job["id"], []).append(it.attempt)
    names = {job["id"]: job["name"] for job in live}
    codes.take({key: names[key] for key in sorted(by_job, key=lambda key: (len(key), key))})
    found: dict[str, Placed] = {}
    for job in live:
        mine = by_job.get(job["id"], [])
        if not mine and not waits_for_gpus(job):
            continue
        attempts = {it["id"]: it for it in mine}
        told = [ends[key] for key in attempts if key in ends]
        known = [fmt.parse_time(it["at"]) for it in told]
        last = max((at for at in known if at is not None), default=None)
        sure = bool(told) and None not in known
        left = left_text(told[0], now) if len(told) == 1 else _left(last if sure else None, now)
        if not sure and job["type"] in ("service", "system"):
            left = f"no end, it is a {job['type']}"
        found[job["id"]] = Placed(
            job, codes.letter(job["id"]) if mine else "", codes.role(job["id"]), len(mine),
            len({it["node"] for it in attempts.values()}), left, last if sure else None,
        )  # fmt: skip
    return found


def waits_for_gpus(job: JobDoc) -> bool:
    """Whether some task of it waits, and wants a device or a part of one."""
    wants = job["resources"]
    waits = any(task["state"] == "pending" for task in job["tasks"]) or not job["tasks"]
    return waits and bool(wants.get("gpus") or wants.get("gpu_share"))


def left_text(end: EndDoc, now: float) -> str:
    """`2h10m left`, `2h10m left, 3h at most`, `nobody knows for how long`."""
    at, latest = fmt.parse_time(end["at"]), fmt.parse_time(end["latest"])
    text = _left(at, now)
    if at is not None and latest is not None and latest - at > _SOON_S:
        text += f", {_span(latest - now)} at most"
    return text


def _left(at: float | None, now: float) -> str:
    return "nobody knows how long" if at is None else f"{_span(at - now)} left"


def _span(seconds: float) -> str:
    return fmt.long_span(max(0.0, seconds))


def marks(doc: PlacementDoc | None, chosen: JobDoc | None, jobs: Iterable[JobDoc]) -> Marks:
    """What the picture tells for the chosen job."""
    if chosen is None:
        return Marks()
    here = [
        uuid for task in chosen["tasks"] for attempt in task["attempts"]
        if fmt.is_live(attempt["state"]) for uuid in attempt["gpus"]
    ]  # fmt: skip
    wants = doc["wants"] if doc is not None else None
    if wants is None or wants["id"] != chosen["id"]:
        return Marks(frozenset(here))
    ending = {key for place in wants["places"] for key in place["ends"]}
    ends = [
        uuid for job in jobs for task in job["tasks"] for attempt in task["attempts"]
        if attempt["id"] in ending for uuid in attempt["gpus"]
    ]  # fmt: skip
    goes = [uuid for place in wants["places"] for uuid in place["gpus"]]
    notes = {
        name: Span(fmt.local_times(block["text"]), "dim" if block["code"] in _NEVER else "")
        for block in reversed(wants["blocks"]) for name in block["nodes"]
    }  # fmt: skip
    return Marks(frozenset(here), frozenset(ends), frozenset(goes), notes)


_NEVER = ("gpu_memory", "gpu_model", "gpu_share", "too_big", "volumes", "labels")
"""What is in the way for ever: such nodes are no place for the job."""


def wants_lines(
    wants: WantDoc, jobs: Iterable[JobDoc], ends: Mapping[str, EndDoc], now: float
) -> list[str]:
    """What a waiting job waits for: in words, with who has to end first and when."""
    found: list[str] = []
    if start := expected_text(wants["expected"], now):
        found.append(f"starts {start}")
    names = {
        attempt["id"]: f"{job['owner']}/{job['name']}"
        for job in jobs for task in job["tasks"] for attempt in task["attempts"]
    }  # fmt: skip
    for place in wants["places"][:PLACES]:
        at = fmt.parse_time(place["at"])
        when = f" at {clock(at, now)}" if at is not None and at - now > _SOON_S else ""
        line = f"{GOES} goes to {place['node']}{when}"
        first = [
            f"{names.get(key, key)} ({left_text(ends[key], now)})" if key in ends
            else names.get(key, key) for key in place["ends"]
        ]  # fmt: skip
        found.append(line + (f", when these have ended: {', '.join(first)}" if first else ""))
    if len(wants["places"]) > PLACES:
        found.append(f"{GOES} and to {len(wants['places']) - PLACES} more nodes")
    if not wants["places"]:
        held = dict.fromkeys(name for block in wants["blocks"] for name in block["held_by"])
        if held:
            found.append(f"its GPUs are held by {', '.join(list(held)[:6])}")
    summary = fmt.local_times(wants["summary"])
    return [*found, summary, *(f"would start {it}" for it in wants["would_help"][:2])]


GOES = "▸"
PLACES = 4
"""Places of a gang that are told in words; the picture has all."""


def order(it: Placed) -> tuple[bool, int, str]:
    """Who holds devices first, the most at the top; then who waits, as handed in."""
    return (not it.devices, -it.devices, it.job["submitted_at"])


def _who(it: Placed, _now: float) -> Cell:
    return (Span(f"{it.letter or '◌':<2} ", it.role if it.letter else "dim"),
            Span(f"{it.job['owner']}/{it.job['name']}", "bold"))  # fmt: skip


def _left_cell(it: Placed, now: float) -> Cell:
    if not it.devices:
        return cell(fmt.job_reason(it.job) or "waits", "dim")
    return cell(it.left, "warn" if it.ends is not None and it.ends < now else "")


FIELDS: tuple[Field[Placed], ...] = (
    Field(
        Column("job", 12, 32), "n", _who, lambda it: f"{it.job['owner']}/{it.job['name']}",
    ),
    Field(Column("id", 4, 8, drop=3), "i", lambda it, _: cell(it.job["id"], "dim"),
          lambda it: (len(it.job["id"]), it.job["id"])),
    Field(
        Column("gpus", 4, right=True), "g", lambda it, _: cell(it.devices or "–"),
        lambda it: it.devices or None, large_first=True,
    ),
    Field(
        Column("nodes", 5, right=True, drop=2), "d", lambda it, _: cell(it.nodes or "–"),
        lambda it: it.nodes or None, large_first=True,
    ),
    Field(
        Column("project", 5, 14, drop=4), "j", lambda it, _: cell(it.job["project"] or "–", "dim"),
        lambda it: it.job["project"], shown=False,
    ),
    Field(Column("left", 20, 120), "l", _left_cell, lambda it: it.ends),
)  # fmt: skip
