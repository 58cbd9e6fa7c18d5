"""The JSON Schema says of every field what the reader says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flextui.core.model.problems import BadInput
from flextui.core.model.schema import json_schema
from flextui.core.model.spec import GRAMMAR, JobSpec, read_specs


def names(schema: dict[str, Any], part: dict[str, Any]) -> set[str]:
    """Dotted names of all fields below a part of the schema."""
    found = set()
    for name, described in part.get("properties", {}).items():
        found.add(name)
        if "$ref" in described:
            below = schema["$defs"][described["$ref"].rsplit("/", 1)[-1]]
            found |= {f"{name}.{it}" for it in names(schema, below)}
    return found


def written(data: dict[str, Any], labels: set[str]) -> set[str]:
    """Dotted names of all fields of a spec's JSON."""
    found = set()
    for name, value in data.items():
        found.add(name)
        if isinstance(value, dict) and name not in ("env", "prefer"):
            found |= {f"{name}.{it}" for it in written(value, labels)}
    return found - labels


def test_the_schema_names_what_the_reader_reads() -> None:
    schema = json_schema()
    known = names(schema, schema)
    assert written(JobSpec(name="a", run="x").to_json(), set()) <= known
    assert {".".join(path) for path in GRAMMAR.later} <= known


@pytest.mark.parametrize("name", sorted(json_schema()["properties"]))
def test_the_reader_knows_what_the_schema_names(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_specs(f"{name}: {{}}\n", "f")
    assert "unknown field" not in str(refused.value)


def test_fields_of_labels_are_where_a_file_has_them() -> None:
    where = json_schema()["$defs"]["Where"]
    assert set(where["properties"]) == {
        "node",
        "not",
        "prefer",
        "placement",
        "apart",
        "pool",
    }
    assert "string" in where["additionalProperties"]["type"]


def test_every_field_is_described() -> None:
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, described in part["properties"].items():
            if "$ref" in described:
                described = schema["$defs"][described["$ref"].rsplit("/", 1)[-1]]
            assert described.get("description"), name


@pytest.mark.parametrize("part", ["Restart", "Resources", "OnNodeLoss", "Idle"])
def test_unknown_fields_are_refused_by_the_schema_too(part: str) -> None:
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert schema["$defs"][part]["additionalProperties"] is False


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(json_schema()))["required"] == ["name", "run"]
