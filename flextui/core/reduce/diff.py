"""What differs between two specs, field by field, as a person would say it."""

from __future__ import annotations

from typing import Any

from flextui.core.model.spec import JobSpec


def spec_diff(old: JobSpec, new: JobSpec) -> list[dict[str, Any]]:
    """`[{"field": "env.LR", "old": "0.1", "new": "0.05"}]`, in the spec's order."""
    return _differences("", old.to_json(), new.to_json())


def _differences(path: str, old: Any, new: Any) -> list[dict[str, Any]]:
    if old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [{"field": path, "old": old, "new": new}]
    found: list[dict[str, Any]] = []
    for key in [*old, *(key for key in new if key not in old)]:
        inner = f"{path}.{key}" if path else str(key)
        found += _differences(inner, old.get(key), new.get(key))
    return found
