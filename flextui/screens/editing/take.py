"""Pure: fields of a spec set or left out in its text, all else left as it was written: comments,
order, and the way that others are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

KEPT = ("apart", "placement", "prefer")
"""What of `where` says nothing of which nodes could hold a job."""


def take(text: str, document: int, takes: Sequence[Mapping[str, Any]]) -> str | None:
    """The text with these changes in its n-th document; None where it can't be done, such as in
    what stands behind an alias."""
    for it in takes:
        changed = _with(text, document, tuple(it["field"]), it["value"])
        if changed is None:
            return None
        text = changed
    return text


def _with(text: str, document: int, path: Sequence[str], value: str | None) -> str | None:
    try:
        nodes = [node for node in yaml.compose_all(text, yaml.SafeLoader) if node is not None]
    except yaml.YAMLError:
        return None
    if document >= len(nodes):
        return None
    within = nodes[document]
    for step in path[:-1]:
        if not isinstance(within, yaml.MappingNode):
            return None
        found = _item(within, step)
        if found is None:
            return text if value is None else _put(text, within, step, f"{{{path[-1]}: {value}}}")
        within = found[1]
    if not isinstance(within, yaml.MappingNode):
        return None
    if tuple(path) == ("where",) and value is None:
        return _without_places(text, document, within)
    item = _item(within, path[-1])
    if value is None:
        return text if item is None else _drop(text, within, item)
    if item is None:
        return _put(text, within, path[-1], value)
    begin, end = item[1].start_mark.index, item[1].end_mark.index
    return text[:begin] + value + _tail(text[begin:end]) + text[end:]


Item = tuple[yaml.Node, yaml.Node]


def _item(within: yaml.MappingNode, name: str) -> Item | None:
    return next((it for it in within.value if it[0].value == name), None)


def _tail(written: str) -> str:
    """A block ends where the next field begins: what stands between isn't its own."""
    return written[len(written.rstrip()) :]


def _put(text: str, within: yaml.MappingNode, name: str, value: str) -> str:
    """A field more, before the last one of its mapping."""
    if not within.value:
        at = within.start_mark.index + 1
        return f"{text[:at]}{name}: {value}{text[at:]}"
    last = within.value[-1][0].start_mark
    between = ", " if within.flow_style else "\n" + " " * last.column
    return f"{text[: last.index]}{name}: {value}{between}{text[last.index :]}"


def _drop(text: str, within: yaml.MappingNode, item: Item) -> str | None:
    """Without one field; a mapping that has no other becomes empty."""
    begin, end = item[0].start_mark.index, item[1].end_mark.index
    if within.flow_style:
        rest = text[end:]
        if rest.lstrip().startswith(","):
            return text[:begin] + rest.lstrip()[1:].lstrip()
        return text[:begin].rstrip().removesuffix(",") + rest
    if len(within.value) == 1:
        return text[:begin] + "{}" + _tail(text[begin:end]) + text[end:]
    kept = _tail(text[begin:end])
    line = text.rfind("\n", 0, begin) + 1
    if text[line:begin].strip():  # it stands on the line of a list's item or of its parent
        return None
    stop = text.find("\n", end - len(kept))
    return text[:line] + (text[stop + 1 :] if stop >= 0 else "")


def _without_places(text: str, document: int, top: yaml.MappingNode) -> str | None:
    """Without what `where` says of nodes; what it prefers and keeps apart stays."""
    item = _item(top, "where")
    if item is None or not isinstance(item[1], yaml.MappingNode):
        return text if item is None else None
    names = [str(key.value) for key, _ in item[1].value]
    if not any(name in KEPT for name in names):
        return _drop(text, top, item)
    found: str | None = text
    for name in names:
        if name not in KEPT and found is not None:
            found = _with(found, document, ("where", name), None)
    return found
