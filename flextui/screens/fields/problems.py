"""The columns of the list of problems."""

from __future__ import annotations

from flextui.core.model.docs import ProblemDoc
from flextui.screens import format as fmt
from flextui.screens.format import Cell, Span, cell
from flextui.screens.listing import Column, Field

_SIGNS = {"critical": ("✗ ", "bad"), "warning": ("! ", "warn"), "notice": ("· ", "dim")}
_RANK = {"critical": 0, "warning": 1, "notice": 2}


def order(problem: ProblemDoc) -> tuple[bool, int, str, str]:
    """The worst first, then what has been there the longest; what is silenced last."""
    quiet = problem["silenced"] is not None
    return quiet, _RANK[problem["severity"]], problem["since"], problem["id"]


def _what(problem: ProblemDoc, _now: float) -> Cell:
    sign, role = _SIGNS[problem["severity"]]
    if problem["silenced"] is not None:
        return (Span(sign, "dim"), Span("silenced: ", "dim"), Span(problem["what"], "dim"))
    return (Span(sign, role), Span(problem["what"], "" if role != "dim" else "dim"))


def _next(problem: ProblemDoc, _now: float) -> Cell:
    does = problem["action"] and problem["silenced"] is None
    return cell(word(problem), "accent" if does else "dim")


def word(problem: ProblemDoc) -> str:
    """The next step in a few words: the command's, where there is one."""
    return problem["command"] or problem["next"]


FIELDS: tuple[Field[ProblemDoc], ...] = (
    Field(
        Column("since", 4, 5, right=True), "t", lambda p, now: cell(fmt.age(p["since"], now)),
        lambda p: p["since"], live=True,
    ),
    Field(Column("what", 24, 100, yields=40), "w", _what, lambda p: p["what"]),
    Field(
        Column("touches", 8, 48, drop=2, yields=16), "o", lambda p, _: cell(p["touches"], "dim"),
        lambda p: p["touches"] or None,
    ),
    Field(Column("next", 18, 40), "n", _next, word),
    Field(
        Column("kind", 4, 12, drop=3), "k", lambda p, _: cell(p["kind"], "dim"),
        lambda p: p["kind"], shown=False,
    ),
    Field(
        Column("node", 4, 14, drop=3), "d", lambda p, _: cell(p["node"] or "–", "dim"),
        lambda p: p["node"], shown=False,
    ),
)  # fmt: skip

RANKS = {**_RANK, "silenced": len(_RANK)}
"""The order of the groups by how bad they are."""
GROUPS = {
    "how bad": lambda problem: "silenced" if problem["silenced"] else problem["severity"],
    "kind": lambda problem: problem["kind"],
    "node": lambda problem: problem["node"] or "",
}
