"""The columns of the history."""

from __future__ import annotations

from flextui.core.model.docs import ACTOR, EventDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, cell
from flextui.screens.listing import Column, Field

_BAD = (".lost", ".failed", ".error", ".unreachable", ".xid")


def _what(event: EventDoc, _now: float) -> Cell:
    return cell(event["kind"], "bad" if _is_bad(event) else "")


def _is_bad(event: EventDoc) -> bool:
    ended = event["kind"] == "attempt.ended" and event["text"].startswith(("failed", "lost"))
    return ended or event["kind"].endswith(_BAD)


def _by(event: EventDoc, _now: float) -> Cell:
    return cell(event["actor"], "dim" if event["actor"] == ACTOR else "bold")


def order(event: EventDoc) -> int:
    """Newest first."""
    return -event["seq"]


FIELDS: tuple[Field[EventDoc], ...] = (
    Field(
        Column("time", 8, 14), "t", lambda e, now: cell(fmt.day_clock(e["at"], now), "dim"),
        lambda e: e["seq"], large_first=True,
    ),
    Field(
        Column("utc", 20, 24, drop=3), "d", lambda e, _: cell(e["at"], "dim"),
        lambda e: e["at"], shown=False, large_first=True,
    ),
    Field(Column("what", 10, 20), "w", _what, lambda e: e["kind"]),
    Field(Column("by", 5, 12, drop=2), "b", _by, lambda e: e["actor"]),
    Field(
        Column("node", 5, 14, drop=1), "n", lambda e, _: cell(e["node"] or "–", "dim"),
        lambda e: e["node"],
    ),
    Field(
        Column("of", 6, 20, drop=3), "o", lambda e, _: cell(e["attempt"] or e["job"] or "–"),
        lambda e: e["attempt"] or e["job"],
    ),
    Field(Column("text", 10, 200), "e", lambda e, _: cell(fmt.local_times(e["text"])),
          lambda e: e["text"]),
)  # fmt: skip

GROUPS = {
    "what": lambda event: event["kind"],
    "by": lambda event: event["actor"],
    "node": lambda event: event["node"] or "",
}
