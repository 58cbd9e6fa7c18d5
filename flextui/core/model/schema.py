"""The JSON Schema of the job spec, for editors that complete, check and explain while one types.

It is made from the models that read specs, so that the two can't part; only the shape differs
where a file is flatter than the model (`where`).
"""

from __future__ import annotations

from typing import Any

from flextui.core.model.spec import GRAMMAR, JobSpec

_NOT_YET = "Not supported yet."


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of one document of a spec file. A new dict each time."""
    schema = JobSpec.model_json_schema(by_alias=True)
    parts = schema.pop("$defs")
    for part in (parts["Where"], parts["Match"]):  # in a file, any further name there is a label
        part["additionalProperties"] = part["properties"].pop("labels")["additionalProperties"]
    for path, harmless in GRAMMAR.later.items():
        place = schema if len(path) == 1 else parts[path[0].capitalize()]
        place["properties"][path[-1]] = {"description": _NOT_YET, "enum": [None, *harmless]}
    for part in (schema, *parts.values()):
        _tidy(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "flextui job",
        **schema,
        "$defs": parts,
    }


def _tidy(part: dict[str, Any]) -> None:
    """Leave out titles that repeat names, and defaults of mappings, which their parts give."""
    part.pop("title", None)
    for described in part.get("properties", {}).values():
        described.pop("title", None)
        if isinstance(described.get("default"), dict):
            del described["default"]
