"""A job's spec written back as YAML, for editing what runs: only what differs from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


class _Writer(yaml.SafeDumper):
    """Block text for several lines, plain style else."""


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)


def spec_as_yaml(spec: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """The spec document (`JobSpec.to_json()`) as YAML; fields equal to `defaults` are left out."""
    return yaml.dump(
        _differing(spec, defaults or {}), Dumper=_Writer, sort_keys=False, allow_unicode=True
    )


def _differing(spec: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in spec.items():
        default = defaults.get(key)
        if key != "name" and (value == default or value is None or value in ({}, [])):
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            value = _differing(value, default)
        out[key] = value
    return out
