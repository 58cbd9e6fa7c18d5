"""The job spec's schema as the editor asks it: what may stand here, and what does it mean?

It is the very schema that `flextui schema` prints, made of the models that read specs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flextui.core.model.units import format_duration

_KINDS = {"string": "text", "integer": "a whole number", "number": "a number",
          "boolean": "true or false", "array": "a list", "object": "fields"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the spec."""

    path: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    """All that it may be, where that is a few words."""
    examples: tuple[str, ...]
    kind: str
    default: str
    fields: tuple[str, ...]
    """Names of the fields in it."""
    open: bool
    """It takes names of one's own as well: labels, variables."""
    later: bool = False
    """Not supported yet."""

    @property
    def line(self) -> str:
        """All of it on one line."""
        parts = [self.help.rstrip(".") or _KINDS.get(self.kind, "")]
        if self.values:
            parts.append(" | ".join(self.values))
        elif self.examples:
            parts.append("such as " + ", ".join(self.examples[:3]))
        elif self.kind in _KINDS and self.kind != "object":
            parts.append(_KINDS[self.kind])
        if self.default:
            parts.append(f"default {self.default}")
        return f"{'.'.join(self.path)}: " + " · ".join(it for it in parts if it)


class Schema:
    """Answers by path."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._parts: Mapping[str, Any] = document.get("$defs", {})
        self._root = document

    def field(self, path: Sequence[str]) -> Field | None:
        """What the field is; None where there is none."""
        found = self._root
        described = ""
        for name in path:
            inner = self._resolved(found)
            known = inner.get("properties", {}).get(name)
            if known is None:
                known = inner.get("additionalProperties")
                if not isinstance(known, dict):
                    return None
            found, described = known, known.get("description", "")
        return self._field(tuple(path), found, described)

    def _field(self, path: tuple[str, ...], node: Mapping[str, Any], described: str) -> Field:
        inner = self._resolved(node)
        properties = inner.get("properties", {})
        values = tuple(_shown(it) for it in inner.get("enum", ()) if it is not None)
        kind = inner.get("type", "")
        if kind == "boolean":
            values = ("true", "false")
        options = [self._resolved(it) for it in inner.get("anyOf", ())]
        kinds = [it.get("type", "") for it in options]
        examples = tuple(_shown(it) for it in inner.get("examples", ()))
        default = node.get("default", inner.get("default"))
        if isinstance(default, float) and "90m" in examples:
            default = format_duration(default)
        described = described or inner.get("description", "")
        return Field(
            path,
            described,
            values,
            examples,
            kind if isinstance(kind, str) and kind else next(iter(kinds), ""),
            "" if default in (None, "", [], {}) else _shown(default),
            tuple(name for name in properties if not self._later(properties[name])),
            isinstance(inner.get("additionalProperties"), dict),
            self._later(node),
        )

    @staticmethod
    def _later(node: Mapping[str, Any]) -> bool:
        return node.get("enum") == [None]

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        """Through references, and past 'or null'."""
        while True:
            if "$ref" in node:
                node = self._parts[node["$ref"].rpartition("/")[2]]
                continue
            options = [it for it in node.get("anyOf", ()) if it.get("type") != "null"]
            if len(options) == 1:
                node = options[0]
                continue
            return node


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=1)
def spec_schema() -> Schema:
    """The schema of job specs. Slow the first time: it imports the models."""
    from flextui.core.model.schema import json_schema

    return Schema(json_schema())
