"""What may be written at the cursor, the likely first: names by the schema, values by the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flextui.core.model.docs import JobDoc, NodeDoc
from flextui.screens import format as fmt
from flextui.screens.editing.context import Context
from flextui.screens.editing.schema import Field, Schema
from flextui.screens.fuzzy import Names

MOST = 50


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that may be written."""

    word: str
    note: str = ""
    tail: str = ""
    """What is written after it: the colon of a name."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the fleet has, for the values of a spec."""

    models: Mapping[str, tuple[int, int, tuple[int, ...]]] = field(default_factory=dict)
    """Short name of a model → GPUs free, in all, and the bytes that one has, the least first."""
    nodes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Node → GPUs free and in all."""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    jobs: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def known(
    nodes: Iterable[NodeDoc], jobs: Iterable[JobDoc], projects: Iterable[str] = (),
    volumes: Iterable[str] = (),
) -> Known:  # fmt: skip
    """The fleet as the view has it."""
    models: dict[str, tuple[int, int, tuple[int, ...]]] = {}
    places: dict[str, tuple[int, int]] = {}
    labels: dict[str, set[str]] = {}
    for node in nodes:
        ready = node["state"] == "ready" and not node["cordoned"] and not node["drained"]
        free = 0
        for gpu in node["gpus"]:
            usable = int(ready and gpu["state"] == "free")
            free += usable
            name = model_word(gpu["model"])
            was = models.get(name, (0, 0, ()))
            sizes = tuple(sorted({*was[2], gpu["memory_bytes"]}))
            models[name] = (was[0] + usable, was[1] + 1, sizes)
        places[node["name"]] = (free, len(node["gpus"]))
        for name, value in node["labels"].items():
            labels.setdefault(name, set()).add(value)
    return Known(
        models,
        places,
        {name: tuple(sorted(values)) for name, values in sorted(labels.items())},
        tuple(sorted({job["name"] for job in jobs})),
        tuple(projects),
        tuple(volumes),
    )


def model_word(model: str) -> str:
    """The word that `gpu_model` is written with: a100, h100, rtx4090, 3090, t4."""
    return fmt.short_model(model).split("-")[0].split(" ")[0].lower()


def suggest(at: Context, schema: Schema, fleet: Known) -> list[Choice]:
    """What may be written there, by the letters that are typed."""
    found = _names(at, schema, fleet) if at.naming else _values(at, schema, fleet)
    by_word = {it.word: it for it in found if it.word not in at.siblings}
    if not at.typed:
        return list(by_word.values())[:MOST]
    starts = [it for word, it in by_word.items() if word.startswith(at.typed)]
    rest = [word for word in by_word if not word.startswith(at.typed)]
    fuzzy = [by_word[match.name] for match in Names(rest).best(at.typed, MOST)[0]] if rest else []
    return (starts + fuzzy)[:MOST]


def _names(at: Context, schema: Schema, fleet: Known) -> list[Choice]:
    here = schema.field(at.path)
    if here is None:
        return []
    found = []
    for name in here.fields:
        inner = schema.field((*at.path, name))
        if inner is None:
            continue
        found.append(Choice(name, inner.help.split(". ")[0].rstrip("."), _tail(inner, at)))
    if here.open and _takes_labels(at.path):
        for name, values in fleet.labels.items():
            found.append(Choice(name, f"label: {', '.join(values[:4])}", ": "))
    return found


def _tail(inner: Field, at: Context) -> str:
    if inner.fields or (inner.open and inner.kind == "object"):
        return ": {" if at.flow else f":\n{' ' * (at.indent + 2)}"
    return ": "


def _takes_labels(path: tuple[str, ...]) -> bool:
    return path[:1] == ("where",) and path[1:] in ((), ("not",), ("prefer",))


def _values(at: Context, schema: Schema, fleet: Known) -> list[Choice]:
    here = schema.field(at.path)
    if here is None:
        return []
    special = _of_fleet(at.path, fleet)
    if special:
        return special
    if here.values:
        return [Choice(it, "default" if it == here.default else "") for it in here.values]
    return [Choice(it, "for example") for it in here.examples]


def _of_fleet(path: tuple[str, ...], fleet: Known) -> list[Choice]:
    if path == ("resources", "gpu_model"):
        return _models(fleet)
    if path in (("where", "node"), ("where", "not", "node")):
        nodes = sorted(fleet.nodes.items(), key=lambda it: -it[1][0])
        return [Choice(name, _free(*counts)) for name, counts in nodes]
    if path == ("project",):
        return [Choice(it, "project") for it in fleet.projects]
    if path == ("volumes",):
        return [Choice(it, "volume") for it in fleet.volumes]
    if path == ("where", "apart"):
        return [Choice(it, "job") for it in fleet.jobs]
    if _takes_labels(path[:-1]) and path[-1] in fleet.labels:
        return [Choice(it, "label") for it in fleet.labels[path[-1]]]
    if path == ("resources", "gpu_memory"):
        sizes = sorted({size for _, _, sizes in fleet.models.values() for size in sizes})
        return [Choice(f"{size >> 30}GiB", _with(fleet, size)) for size in sizes if size >> 30]
    return []


def _models(fleet: Known) -> list[Choice]:
    by_free = sorted(fleet.models.items(), key=lambda it: (-it[1][0], it[0]))
    return [
        Choice(name, f"{_free(free, of)}, {' or '.join(map(fmt.size, sizes))}")
        for name, (free, of, sizes) in by_free
    ]


def _with(fleet: Known, size: int) -> str:
    free = sum(it[0] for it in fleet.models.values() if it[2] and it[2][0] >= size)
    return f"{free} GPUs free with that"


def _free(free: int, of: int) -> str:
    return f"{free} of {of} free" if of else "no GPU"
