"""Pure: the fleet's devices as a picture, each a cell with the letter of the job that holds it."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.cells import cell_len

from flextui.core.model.docs import AttemptDoc, GpuDoc, JobDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.format import Span

LETTERS = string.ascii_lowercase + string.ascii_uppercase
COLOURS = 6
"""Roles `job0` to `job5`."""
SEVERAL = "+"
"""The letter of a device that several jobs share."""
HERE, ENDS, GOES = "*", "!", "<"
"""Marks beside a cell: of the chosen job; has to end first; the job goes here."""
NAME, MODEL = 14, 8
GROUP = 4


class Holding(NamedTuple):
    """A live attempt on a device."""

    job: JobDoc
    attempt: AttemptDoc


def holdings(jobs: Iterable[JobDoc]) -> dict[str, list[Holding]]:
    """Who holds which device, by UUID."""
    found: dict[str, list[Holding]] = {}
    for job in jobs:
        for task in job["tasks"]:
            for attempt in task["attempts"]:
                if fmt.is_live(attempt["state"]) and not attempt["replaced"]:
                    for uuid in attempt["gpus"]:
                        found.setdefault(uuid, []).append(Holding(job, attempt))
    return found


class Codes:
    """Letters of jobs, after their names where that can be. One keeps its letter while it holds
    something, and while not so many come that all need two."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self.wide = 1
        """Cells of a letter: two where there are more jobs than letters."""

    def take(self, jobs: Mapping[str, str]) -> None:
        """These jobs (by id, their names) hold devices now; the letters of others are free."""
        wide = 1 if len(jobs) <= len(LETTERS) else 2
        if wide != self.wide:
            self._of, self.wide = {}, wide
        for key in self._of.keys() - jobs.keys():
            del self._of[key]
        taken = set(self._of.values())
        for key, name in jobs.items():
            if key not in self._of:
                self._of[key] = next(it for it in _codes(name, wide) if it not in taken)
                taken.add(self._of[key])

    def letter(self, job: str) -> str:
        return self._of.get(job, "?")

    def role(self, job: str) -> str:
        return f"job{sum(map(ord, self._of.get(job, ''))) % COLOURS}"


def _codes(name: str, wide: int) -> Iterator[str]:
    """What a job of this name may be called, the best first."""
    own = [it for it in name if it in LETTERS] or ["x"]
    if wide == 1:
        yield from (it for letter in own for it in (letter, letter.upper()))
        yield from LETTERS
    else:
        yield from (own[0] + it for it in (*own[1:], *LETTERS))
        yield from (one + other for one in LETTERS for other in LETTERS)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is told about devices and nodes for the chosen job."""

    here: frozenset[str] = frozenset()
    """UUIDs that it holds."""
    ends: frozenset[str] = frozenset()
    """UUIDs of which the holder has to end."""
    goes: frozenset[str] = frozenset()
    """UUIDs that it is expected to get."""
    notes: Mapping[str, Span] = field(default_factory=dict)
    """Node → what is in the way there."""


class Scene(NamedTuple):
    """All that the picture is made of."""

    held: Mapping[str, Sequence[Holding]]
    codes: Codes
    marks: Marks = Marks()
    name: int = NAME
    """Cells that the names of nodes have."""


class Line(NamedTuple):
    """A line of the picture: a node, or the rest of one with many devices."""

    node: NodeDoc
    first: int
    """The place of its first device among the node's."""
    size: int


def lines(nodes: Iterable[NodeDoc], width: int, wide: int) -> list[Line]:
    """The lines that all nodes take."""
    room = max(GROUP, (width - NAME - 3) * GROUP // ((wide + 1) * GROUP + 1 + MODEL // 2))
    found = []
    for node in nodes:
        count = len(node["gpus"])
        for first in range(0, max(1, count), room):
            found.append(Line(node, first, min(room, count - first)))
    return found


def named(nodes: Iterable[NodeDoc]) -> int:
    """Cells for the longest of their names, so many as names may have."""
    return min(NAME, max((cell_len(it["name"]) for it in nodes), default=NAME))


def device(gpu: GpuDoc, scene: Scene) -> Span:
    """The letter of who holds it, or what is wrong with it."""
    wide = scene.codes.wide
    holders = {it.job["id"]: it for it in scene.held.get(gpu["uuid"], ())}
    if len(holders) > 1:
        return Span(SEVERAL.ljust(wide), "accent")
    if holders:
        (key,) = holders
        broken = gpu["state"] in ("cordoned", "lost", "error")
        return Span(scene.codes.letter(key), "warn" if broken else scene.codes.role(key))
    if gpu["state"] in ("free", "used"):
        return Span("·".ljust(wide), "dim")
    sign = fmt.gpu_span(gpu)
    return Span(sign.text.ljust(wide), sign.role)


def mark(uuid: str, marks: Marks) -> Span:
    """The sign beside a device."""
    if uuid in marks.ends:
        return Span(ENDS, "bad")
    if uuid in marks.goes:
        return Span(GOES, "ok")
    return Span(HERE, "accent") if uuid in marks.here else Span(" ")


class Piece(NamedTuple):
    """A span of a line; `at` is the place of the device that it shows, None for words."""

    span: Span
    at: int | None = None


def pieces(line: Line, scene: Scene) -> list[Piece]:
    """A line: the node's name, its devices by model, and what there is to tell."""
    node = line.node
    out = node["drained"] or node["cordoned"] or node["state"] not in ("ready", "observed")
    name = fmt.cut(node["name"] if line.first == 0 else "", scene.name)
    found = [Piece(Span(name, "warn" if out else "bold")), Piece(Span(" "))]
    model, parent = "", ""
    gpus = node["gpus"][line.first : line.first + line.size]
    for number, gpu in enumerate(gpus):
        own = fmt.short_model(gpu["model"])
        if own != model:
            model = own
            found.append(Piece(Span(f"{' ' if number else ''}{fmt.cut(own, MODEL)} ", "dim")))
            group = 0
        elif gpu["mig"] and gpu["parent"] != parent:
            found.append(Piece(Span("│", "dim")))
        elif not gpu["mig"] and group % GROUP == 0:
            found.append(Piece(Span(" ")))
        parent = gpu["parent"]
        group += 1
        found.append(Piece(device(gpu, scene), line.first + number))
        found.append(Piece(mark(gpu["uuid"], scene.marks), line.first + number))
    if line.first == 0:
        found += [Piece(Span(" ")), *(Piece(it) for it in words(node, scene))]
    return found


def words(node: NodeDoc, scene: Scene) -> list[Span]:
    """What a node's line says at its end: what is in the chosen job's way, else who is there."""
    if note := scene.marks.notes.get(node["name"]):
        return [note]
    if node["state"] != "ready":
        return [Span(f"{node['state']}: {node['reason']}" if node["reason"] else node["state"],
                     "bad")]  # fmt: skip
    found: list[Span] = []
    for state, on in (("drained ", node["drained"]), ("cordoned ", node["cordoned"])):
        if on:
            found.append(Span(state, "warn"))
    counts: dict[str, tuple[JobDoc, int]] = {}
    for gpu in node["gpus"]:
        for it in scene.held.get(gpu["uuid"], ()):
            counts[it.job["id"]] = it.job, counts.get(it.job["id"], (it.job, 0))[1] + 1
    for key, (job, count) in counts.items():
        found.append(Span(f"{scene.codes.letter(key)} ", scene.codes.role(key)))
        found.append(Span(f"{job['name']}{f'×{count}' if count > 1 else ''}  "))
    for gpu in node["gpus"]:
        if gpu["state"] in ("cordoned", "lost", "error", "foreign"):
            sign = fmt.gpu_span(gpu).text
            found.append(Span(f"{sign}{gpu['index']} {gpu['reason']}  ", "warn"))
    return found


def about(node: NodeDoc, gpu: GpuDoc | None, scene: Scene, left: Mapping[str, str]) -> str:
    """One line on the device under the cursor. `left`: attempt → how long it still runs."""
    if gpu is None:
        return f"{node['name']}  {'no GPUs' if node['memory_bytes'] else 'nothing is known yet'}"
    model = fmt.short_model(gpu["model"]) + (f" {gpu['mig']}" if gpu["mig"] else "")
    parts = [f"{node['name']}:{gpu['index']}", model, gpu["state"]]
    parts.append(f"{fmt.size(gpu['memory_used_bytes'])} of {fmt.size(gpu['memory_bytes'])}")
    for it in scene.held.get(gpu["uuid"], ()):
        share = it.attempt.get("share") or 0
        part = f" {share / 10:g}%" if share else ""
        ends = left.get(it.attempt["id"])
        name = f"{it.job['owner']}/{it.job['name']}"
        parts.append(f"{scene.codes.letter(it.job['id'])} {name} {it.attempt['id']}{part}"
                     + (f", {ends}" if ends else ""))  # fmt: skip
    if gpu["reason"]:
        parts.append(gpu["reason"])
    return "  ".join(parts)


def length(found: Sequence[Piece]) -> int:
    """Cells of a line."""
    return sum(cell_len(it.span.text) for it in found)


def said(node: NodeDoc, scene: Scene) -> str:
    """What a filter looks at."""
    models = {fmt.short_model(gpu["model"]) for gpu in node["gpus"]}
    jobs = {f"{it.job['owner']}/{it.job['name']}" for gpu in node["gpus"]
            for it in scene.held.get(gpu["uuid"], ())}  # fmt: skip
    reasons = [gpu["reason"] for gpu in node["gpus"]]
    return " ".join([node["name"], node["state"], *sorted(models), *sorted(jobs), *reasons])
