"""Copies of frozen records, made quickly: the engine makes several for each task it starts or ends.

`dataclasses.replace` reads and sets each field by name and through `__init__`, which for the
biggest records takes as long as all else that a decision needs. Fields that aren't fields are told
by type checkers there and only by an exception here, so this is for the few busiest places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
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
