"""A job's spec written back as YAML, for editing what runs: only what differs from the defaults,
durations and sizes as people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

from flextui.core.model import scalars
from flextui.core.model.spec import read_specs
from flextui.core.model.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

_DURATIONS = frozenset(
    {"time_limit", "grace", "begin", "deadline", "within", "delay", "max_delay", "after", "for"}
)
_SIZES = frozenset({"memory", "gpu_memory", "gpu_share"})


_TAGS = {str: "str", int: "int", float: "float", bool: "bool", type(None): "null"}


class _Writer(yaml.SafeDumper):
    """Block text for several lines, lists of plain values on one line. Quoted is only what YAML 1.2
    would take for something else."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return scalars.TAG + _TAGS[type(scalars.resolve(value))]
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(writer: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    flow = all("\n" not in str(it) for it in items) and sum(len(str(it)) for it in items) < 80
    return writer.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)


_Writer.add_representer(str, _text)
_Writer.add_representer(list, _list)


def spec_text(spec: Mapping[str, Any], now: Mapping[str, Any] | None = None) -> str:
    """The spec document (`JobSpec.to_json()`) as YAML, without what its type gives by itself.

    `now`: the job's document, whose priority and replicas count where they were changed since.
    """
    spec = {**spec, **{it: now[it] for it in ("priority", "count") if now and it in now}}
    plain = f"name: {spec['name']}\ntype: {spec.get('type', 'batch')}\nrun: 'true'\n"
    defaults = read_specs(plain, "defaults")[0].to_json()
    if spec.get("type", "batch") != "batch":
        defaults["type"] = None
    return written(_differing(spec, defaults))


def written(data: Mapping[str, Any]) -> str:
    """Plain data as YAML, in its order. A text stays on its line, however long."""
    return yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=1 << 20)


def _differing(spec: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec says beyond the defaults, in the model's order and one's own names sorted: stored
    specs don't have the order in which they were written, and none is to differ by that alone."""
    out: dict[str, Any] = {}
    own = sorted(key for key in spec if key not in defaults)
    for key in [*own, *(key for key in defaults if key in spec)]:
        value, default = spec[key], defaults.get(key)
        if key not in ("name", "run") and (
            value == default or value is None or value in ({}, [], "")
        ):
            continue
        if isinstance(value, Mapping):
            inner = default if isinstance(default, Mapping) else {}
            value = dict(sorted(value.items())) if key == "env" else _differing(value, inner)
        out[key] = as_written(key, value)
    return out


def as_written(key: str, value: Any) -> Any:
    """A field's value as people write it: durations and sizes with their units."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if key in _DURATIONS:
        return _exact(value, format_duration, parse_duration) or f"{value:g}s"
    if key in _SIZES and isinstance(value, int):
        return _exact(value, format_size, parse_size) or value
    return int(value) if value == int(value) else value


def _exact(
    value: Any, shown: Callable[[Any], str], read: Callable[[str], float | int]
) -> str | None:
    """How a value reads, unless that rounds it."""
    text = shown(value)
    return text if read(text) == value else None
