"""The columns of the queue: what waits for a place, in the order in which it gets one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flextui.screens import format as fmt
from flextui.screens.fields.why import SURENESS
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field
from flextui.screens.waiting import clock, factor_text, start_text

Row = dict[str, Any]
"""As `queue --json` tells it."""
_SURE = {"certain": 0, "likely": 1, "rough": 2, "unknown": 3}


def rows(answer: dict[str, Any]) -> dict[str, Row]:
    """What waits, by job and task."""
    return {f"{row['id']}.{row['task']}": row for row in answer.get("queue", ())}


def points(row: Row, name: str) -> float | None:
    """The points that a factor gave it."""
    for it in row["factors"]:
        if it["name"] == name:
            return float(it["weight"] * it["value"])
    return None


def _factor(name: str) -> tuple[Callable[[Row, float], Cell], Callable[[Row], float | None]]:
    def shown(row: Row, _now: float) -> Cell:
        value = points(row, name)
        return cell("–", "dim") if value is None else cell(f"{value:.4g}")

    return shown, lambda row: points(row, name)


def total(row: Row) -> float | None:
    """All its points; None where factors aren't added up but count one after the other."""
    if all(it["weight"] == 1 for it in row["factors"]):
        return None
    return sum(float(it["weight"] * it["value"]) for it in row["factors"])


def _total(row: Row, _now: float) -> Cell:
    points_ = total(row)
    return cell("–", "dim") if points_ is None else cell(f"{points_:.4g}")


def _order(row: Row, _now: float) -> Cell:
    return cell(", ".join(factor_text(it, brief=True) for it in row["factors"]), "dim")


def _expected(row: Row, now: float) -> Cell:
    told = row["expected"]
    if told is None:
        return cell("…", "dim")
    sign, at = SURENESS[told["sureness"]], _start(row)
    if at is None:
        return (sign, Span("unknown", "warn"))
    words = start_text(at, now)
    return (sign, Span(f"{words}, {told['sureness']}", "warn" if sign.role == "warn" else ""))


def _latest(row: Row, now: float) -> Cell:
    at = fmt.parse_time(row["expected"]["latest"]) if row["expected"] else None
    return cell("–" if at is None else clock(at, now), "dim")


def _start(row: Row) -> float | None:
    return fmt.parse_time(row["expected"]["at"]) if row["expected"] else None


def _name(row: Row) -> str:
    return f"{row['owner']}/{row['name']}" + (f".{row['task']}" if row["task"] else "")


FIELDS: tuple[Field[Row], ...] = (
    Field(
        Column("place", 5, right=True), "l", lambda r, _: cell(r["position"], "bold"),
        lambda r: r["position"],
    ),
    Field(Column("id", 4, 8, drop=9), "i", lambda r, _: cell(r["id"], "dim"),
          lambda r: (len(r["id"]), r["id"]), wide=150),
    Field(Column("job", 10, 26), "n", lambda r, _: cell(_name(r)), _name),
    Field(
        Column("project", 5, 14, drop=8), "j", lambda r, _: cell(r["project"] or "–", "dim"),
        lambda r: r["project"], wide=150,
    ),
    Field(Column("asks", 8, 26, drop=3, yields=14), "k", lambda r, _: cell(r["asks"]),
          lambda r: r["asks"]),
    Field(
        Column("waits", 5, right=True, drop=2), "w",
        lambda r, now: cell(fmt.age(r["waits_since"], now), "dim"), lambda r: r["waits_since"],
        live=True,
    ),
    Field(
        Column("points", 6, right=True, drop=4), "p", _total, total, large_first=True, wide=125,
    ),
    Field(
        Column("order", 12, 64, drop=7), "o", _order, lambda r: r["position"], wide=150,
    ),
    *(
        Field(Column(name, 4, right=True, drop=5), letter, *_factor(name), shown=False,
              large_first=True)
        for name, letter in (("priority", "y"), ("age", "a"), ("fair share", "f"), ("size", "s"))
    ),
    Field(Column("starts", 20, 32), "t", _expected, _start),
    Field(
        Column("latest", 6, 16, drop=6), "x", _latest,
        lambda r: r["expected"] and r["expected"]["latest"], wide=125,
    ),
    Field(
        Column("sure", 7, 8, drop=9), "u",
        lambda r, _: cell((r["expected"] or {}).get("sureness", "unknown")),
        lambda r: _SURE.get((r["expected"] or {}).get("sureness", ""), 9), shown=False,
    ),
    Field(
        Column("reason", 16, 200, drop=1), "e",
        lambda r, _: cell(fmt.local_times(r["reason"]), "dim"), lambda r: r["reason"],
    ),
)  # fmt: skip

GROUPS = {
    "project": lambda row: row["project"] or "",
    "user": lambda row: row["owner"],
    "reason": lambda row: row["reason_code"] or "",
}


def order(row: Row) -> int:
    """As they will be served."""
    return int(row["position"])
