"""Data that isn't on every node: where a fleet has it, and which jobs need it."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from flextui.core.model.boxes import NodeName
from flextui.core.model.fields import ExecText, Flag, Frozen, Text, matches
from flextui.core.model.problems import BadValue

VolumeName = Annotated[
    Text, matches(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and '-', not starting with '-'")
]
_USE = re.compile(r"([a-z0-9][a-z0-9-]{0,62})(?::(/[^:\0]*))?(?::(ro|rw))?")
_FORMS = "NAME, NAME:/PATH or NAME:/PATH:ro"


class Volume(Frozen):
    """A folder with data, and the nodes that have it."""

    path: Annotated[ExecText, matches(r"(?s)/.*", "an absolute path")] = Field(
        description="Where it is on those nodes."
    )
    shared: Flag = False
    """All its nodes see the same data, so that a job may move among them."""
    nodes: tuple[NodeName, ...] | None = Field(None, validate_default=True)
    """The nodes that have it; None: all, of a shared volume."""

    @field_validator("nodes")
    @classmethod
    def _somewhere(
        cls, value: tuple[str, ...] | None, info: ValidationInfo
    ) -> tuple[str, ...] | None:
        if value == () or (value is None and not info.data.get("shared", True)):
            raise BadValue("no node has it", expected="nodes: [NAME], or shared: true")
        return value

    def on(self, node: str) -> bool:
        """Whether the node of that name has it."""
        return self.nodes is None or node in self.nodes


class VolumeUse(NamedTuple):
    """What a job says of a volume. `path` is "" where the volume's own will do."""

    name: str
    path: str
    read_only: bool


def volume_use(text: str) -> VolumeUse:
    """The parts of `data:/data:ro`. Raises `BadValue`."""
    found = _USE.fullmatch(text)
    if found is None:
        raise BadValue(expected=_FORMS)
    return VolumeUse(found[1], found[2] or "", found[3] == "ro")


def _uses(value: Any) -> Any:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise BadValue(expected=f"a list of {_FORMS}")
    seen: set[str] = set()
    for text in texts:
        if not isinstance(text, str):
            raise BadValue(expected=f"a list of {_FORMS}")
        name = volume_use(text).name
        if name in seen:
            raise BadValue(f"the volume {name} is given twice", expected="each volume once")
        seen.add(name)
    return tuple(texts)


VolumeUses = Annotated[
    tuple[str, ...],
    BeforeValidator(_uses),
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
]
