"""A job's specs: as a list, and as a page that tells what one changed in another."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from flextui.core.model.docs import RevisionDoc
from flextui.core.model.revisions import change_text, differences
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field

_CONTEXT = 2


class Row(NamedTuple):
    """A spec and the one before it; None for the first that is known."""

    doc: RevisionDoc
    before: RevisionDoc | None
    number: int
    """0 for the newest."""


def rows(found: Sequence[RevisionDoc]) -> dict[str, Row]:
    """By job and revision, newest first."""
    later = [*found[1:], None]
    return {
        f"{doc['id']}:{doc['revision']}": Row(doc, before, number)
        for number, (doc, before) in enumerate(zip(found, later, strict=True))
    }


def order(row: Row) -> int:
    return row.number


def _changed(row: Row, _now: float) -> Cell:
    if row.before is None:
        return cell("the first that is known", "dim")
    if not row.doc["diff"]:
        return cell("nothing", "dim")
    return cell("; ".join(change_text(it) for it in row.doc["diff"]))


def _state(row: Row, _now: float) -> Cell:
    return fmt.state_cell(row.doc["state"]) if row.doc["state"] else cell("replaced", "dim")


FIELDS: tuple[Field[Row], ...] = (
    Field(
        Column("rev", 3, 5, right=True), "v", lambda r, _: cell(r.doc["revision"], "bold"),
        lambda r: -r.number, large_first=True,
    ),
    Field(Column("id", 4, 8), "i", lambda r, _: cell(r.doc["id"], "dim"), lambda r: r.doc["id"]),
    Field(
        Column("time", 8, 14), "t", lambda r, now: cell(fmt.day_clock(r.doc["at"], now), "dim"),
        lambda r: r.doc["at"],
    ),
    Field(Column("by", 5, 12, drop=2), "b", lambda r, _: cell(r.doc["by"]), lambda r: r.doc["by"]),
    Field(Column("state", 10, 12, drop=1), "s", _state, lambda r: r.doc["state"]),
    Field(Column("changed", 10, 200), "c", _changed, lambda r: len(r.doc["diff"])),
)  # fmt: skip


def diff_lines(old: RevisionDoc | None, new: RevisionDoc, width: int) -> list[Cell]:
    """What changed from one spec to another, field by field; long texts line by line."""
    if old is None:
        return [(Span("the first that is known: there is nothing to compare it with", "dim"),)]
    found: list[Cell] = [
        (Span(f"from {_name(old)} to {_name(new)}", "bold"),), (),
    ]  # fmt: skip
    changes = differences(old["spec"], new["spec"])
    if not changes:
        return [*found, (Span("nothing differs", "dim"),)]
    for change in changes:
        found += [*_change_lines(change, width), ()]
    return found[:-1]


def _name(doc: RevisionDoc) -> str:
    return f"{doc['id']} revision {doc['revision']}"


def _change_lines(change: dict[str, Any], width: int) -> list[Cell]:
    old, new = _text(change["old"]), _text(change["new"])
    found: list[Cell] = [(Span(change["field"], "accent"),)]
    if len(old) <= 1 and len(new) <= 1:
        return [*found, *_marked("-", old, width), *_marked("+", new, width)]
    for line in difflib.unified_diff(old, new, lineterm="", n=_CONTEXT):
        if line.startswith(("---", "+++")):
            continue
        sign, text = (line[:1], line[1:]) if line[:1] in "+- " else ("@", line)
        found += _marked(sign, [text], width)
    return found


_SIGNS = {"-": "drop", "+": "add", "@": "dim", " ": ""}


def _marked(sign: str, lines: Sequence[str], width: int) -> list[Cell]:
    found: list[Cell] = []
    for line in lines:
        for number, part in enumerate(fmt.wrapped(line, width - 4)):
            found.append((Span(f"  {sign if number == 0 else ' '} {part}", _SIGNS[sign]),))
    return found


def _text(value: Any) -> list[str]:
    """A value as lines; what isn't there is none."""
    if value is None or value in ({}, [], ""):
        return []
    if isinstance(value, str):
        return value.rstrip("\n").split("\n")
    if isinstance(value, list | dict):
        return json.dumps(value, indent=1, ensure_ascii=False).split("\n")
    return [json.dumps(value)]
