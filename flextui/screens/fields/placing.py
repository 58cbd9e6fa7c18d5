"""The jobs beside the picture of devices: who holds some and until when, and who waits for some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flextui.core.model.docs import AttemptDoc, EndDoc, JobDoc, PlacementDoc, WantDoc
from flextui.screens import format as fmt
from flextui.screens.fields.picture import Codes, Holding, Marks, holdings
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field
from flextui.screens.view import gone, replaced
from flextui.screens.waiting import clock, expected_text

_SOON_S = 60.0


class Placed(NamedTuple):
    """A job that holds devices, or waits for some (`devices` is 0)."""

    job: JobDoc
    letter: str
    role: str
    devices: int = 0
    nodes: int = 0
    told: tuple[EndDoc, ...] = ()
    """When its attempts end, as far as that is told."""

    @property
    def ends(self) -> float | None:
        """When the last of them ends; None where nobody knows of one."""
        known = [at for it in self.told if (at := fmt.parse_time(it["at"])) is not None]
        return max(known) if known and len(known) == len(self.told) else None


class Holders:
    """The jobs that hold devices or wait for some. Jobs are looked at when they come and when they
    change: there may be ten thousand, and the picture is drawn several times a second."""

    def __init__(self) -> None:
        self.held: dict[str, list[Holding]] = {}
        """Who holds which device, by UUID."""
        self._jobs: dict[str, JobDoc] = {}
        self._holders: dict[str, JobDoc] = {}
        self._waiting: dict[str, Placed] = {}
        self._rows: dict[str, Placed] = {}

    def take(self, jobs: Mapping[str, JobDoc]) -> None:
        """These are all jobs now."""
        changed = replaced(self._jobs, jobs)
        for key in (*changed, *gone(self._jobs, jobs, changed)):
            self._holders.pop(key, None)
            self._waiting.pop(key, None)
        for key in changed:
            job = jobs[key]
            if job["ended_at"]:
                continue
            if holdings((job,)):
                self._holders[key] = job
            elif waits_for_gpus(job):
                self._waiting[key] = Placed(job, "", "dim")
        self._jobs = dict(jobs)
        self.held = holdings(self._holders[key] for key in sorted(self._holders, key=_by_age))

    def rows(self, codes: Codes, ends: Mapping[str, EndDoc]) -> dict[str, Placed]:
        """The jobs of the list, by id; `codes` is brought up to date. What is as it was is the
        same object."""
        by_job: dict[str, list[AttemptDoc]] = {}
        for of in self.held.values():
            for it in of:
                by_job.setdefault(it.job["id"], []).append(it.attempt)
        codes.take({key: self._holders[key]["name"] for key in sorted(by_job, key=_by_age)})
        found: dict[str, Placed] = {}
        for key, mine in by_job.items():
            attempts = {it["id"]: it for it in mine}
            row = Placed(
                self._holders[key], codes.letter(key), codes.role(key), len(mine),
                len({it["node"] for it in attempts.values()}),
                tuple(ends[attempt] for attempt in attempts if attempt in ends),
            )  # fmt: skip
            found[key] = row if row != self._rows.get(key) else self._rows[key]
        self._rows = found
        return {**found, **self._waiting}


def _by_age(job: str) -> tuple[int, str]:
    return (len(job), job)


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


def row_text(it: Placed, now: float) -> str:
    """Until when it holds its devices."""
    if it.ends is None and it.job["type"] in ("service", "system"):
        return f"no end, it is a {it.job['type']}"
    return left_text(it.told[0], now) if len(it.told) == 1 else _left(it.ends, now)


def _span(seconds: float) -> str:
    return fmt.long_span(max(0.0, seconds))


def marks(
    doc: PlacementDoc | None, chosen: JobDoc | None, held: Mapping[str, Sequence[Holding]]
) -> Marks:
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
    ends = [uuid for uuid, of in held.items() if any(it.attempt["id"] in ending for it in of)]
    goes = [uuid for place in wants["places"] for uuid in place["gpus"]]
    notes = {
        name: Span(fmt.local_times(block["text"]), "dim" if block["code"] in _NEVER else "")
        for block in reversed(wants["blocks"]) for name in block["nodes"]
    }  # fmt: skip
    return Marks(frozenset(here), frozenset(ends), frozenset(goes), notes)


_NEVER = ("gpu_memory", "gpu_model", "gpu_share", "too_big", "volumes", "labels")
"""What is in the way for ever: such nodes are no place for the job."""


def wants_lines(
    wants: WantDoc, held: Mapping[str, Sequence[Holding]], ends: Mapping[str, EndDoc], now: float
) -> list[str]:
    """What a waiting job waits for: in words, with who has to end first and when."""
    found: list[str] = []
    if start := expected_text(wants["expected"], now):
        found.append(f"starts {start}")
    names = {
        it.attempt["id"]: f"{it.job['owner']}/{it.job['name']}" for of in held.values() for it in of
    }
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
        blocking = dict.fromkeys(name for block in wants["blocks"] for name in block["held_by"])
        if blocking:
            found.append(f"its GPUs are held by {', '.join(list(blocking)[:6])}")
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
    return cell(row_text(it, now), "warn" if it.ends is not None and it.ends < now else "")


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
