"""Frozen records made and copied quickly: the engine makes several for each task it starts or ends.

Dataclasses set each field of a frozen record by name, and `dataclasses.replace` also reads it so:
for the biggest records that takes as long as all else that a decision needs. Fields that aren't
fields are told by type checkers there and only by an exception here (`changed`), so this is for the
few busiest places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class _Shape(NamedTuple):
    """How the records of a class are read and made."""

    values: Callable[[Any], tuple[Any, ...]]
    places: dict[str, int]
    setters: tuple[Callable[[Any, Any], None], ...]


_SHAPES: dict[type, _Shape] = {}


def _shape(kind: Any) -> _Shape:
    names = [field.name for field in fields(kind)]
    setters = tuple(kind.__dict__[name].__set__ for name in names)
    places = {name: place for place, name in enumerate(names)}
    return _SHAPES.setdefault(kind, _Shape(attrgetter(*names), places, setters))


def quick(kind: type[R]) -> type[R]:
    """The frozen dataclass with an `__init__` that writes slots directly, in half the time."""
    known: dict[str, Any] = {"_NEW": object()}
    takes, puts = [], []
    for it in fields(kind):  # type: ignore[arg-type]
        known[f"_put_{it.name}"] = kind.__dict__[it.name].__set__
        value = it.name
        if it.default is not MISSING:
            known[f"_default_{it.name}"] = it.default
            takes.append(f"{it.name}=_default_{it.name}")
        elif it.default_factory is not MISSING:
            known[f"_make_{it.name}"] = it.default_factory
            takes.append(f"{it.name}=_NEW")
            value = f"_make_{it.name}() if {it.name} is _NEW else {it.name}"
        else:
            takes.append(it.name)
        puts.append(f"    _put_{it.name}(self, {value})")
    exec(f"def __init__(self, {', '.join(takes)}):\n" + "\n".join(puts), known)
    kind.__init__ = known["__init__"]  # type: ignore[method-assign]
    return kind


def changed(record: R, **fields: Any) -> R:
    """The record with other fields. It must be a dataclass with slots. Raises `KeyError`."""
    kind = type(record)
    shape = _SHAPES.get(kind) or _shape(kind)
    values = list(shape.values(record))
    for name, value in fields.items():
        values[shape.places[name]] = value
    new = object.__new__(kind)
    for put, value in zip(shape.setters, values, strict=True):
        put(new, value)
    return new
