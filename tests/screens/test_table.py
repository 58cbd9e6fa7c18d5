"""Lists: order, filter, groups, and that keeping them current gives what making them anew would."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.screens.format import cell, plain
from flextui.screens.listing import HEADING, Column, Field, Filter, Layout
from flextui.screens.selection import Selection
from flextui.screens.table import Table


class Doc(NamedTuple):
    name: str
    size: int | None
    team: str


FIELDS: tuple[Field[Doc], ...] = (
    Field(Column("name"), "n", lambda d, _: cell(d.name), lambda d: d.name),
    Field(Column("size"), "s", lambda d, _: cell(d.size), lambda d: d.size, large_first=True),
    Field(Column("age"), "a", lambda d, now: cell(now), lambda d: 0, live=True),
    Field(Column("team"), "t", lambda d, _: cell(d.team), lambda d: d.team, shown=False),
)
DOCS = {
    "a": Doc("anna", 3, "red"), "b": Doc("bob", None, "blue"), "c": Doc("carol", 7, "red"),
    "d": Doc("dan", 3, ""),
}  # fmt: skip


def table(layout: Layout | None = None) -> Table[Doc]:
    return Table(
        FIELDS,
        order=lambda d: (d.name, d.team, repr(d.size)),
        groups={"team": lambda d: d.team},
        layout=layout,
    )


def keys(made: Table[Doc], docs: dict[str, Doc] | None = None, pattern: str = "") -> str:
    made.sync(DOCS if docs is None else docs, 0.0, pattern)
    return "".join(key.replace(HEADING, "#") for key in made.keys)


def test_the_own_order_then_a_column_then_back_to_the_own_order() -> None:
    made = table()
    assert keys(made) == "abcd"
    made.sort_by("size")
    assert keys(made) == "cadb", "large first, equals in the own order, without a size last"
    made.sort_by("size")
    assert keys(made) == "adcb"
    made.sort_by("size")
    assert keys(made) == "abcd"


def test_a_filter_is_a_regex_its_inverse_or_else_plain_text() -> None:
    made = table()
    assert keys(made, pattern="AN") == "ad"
    assert keys(made, pattern="!an") == "bc"
    assert keys(made, pattern="^(anna|bob)") == "ab"
    assert keys(made, pattern="red") == "", "only what is shown is looked at"
    assert keys(made, pattern="(") == ""
    assert made.filter.literal
    assert keys(made, pattern="!") == "abcd"
    assert (made.matching, made.total) == (4, 4)
    assert keys(made, pattern="0.0") == "", "what changes with time alone is not looked at"


def test_hidden_columns_can_be_shown_and_then_count_for_the_filter() -> None:
    made = table(Layout(columns=("team", "name")))
    assert keys(made, pattern="red") == "ac"
    assert [it.title for it in made.columns] == ["team", "name"]
    assert [plain(it) for it in made.cells("a")] == ["red", "anna"]


def test_groups_have_headings_and_fold() -> None:
    made = table(Layout(group="team"))
    assert keys(made) == "#bluebb#redacb#–d".replace("bb#", "b#").replace("acb#", "ac#")
    heading = made.heading(HEADING + "red")
    assert heading is not None
    assert "red" in plain(heading)
    made.fold(HEADING + "red")
    assert keys(made) == "#blueb#red#–d"
    made.fold(HEADING + "red")
    assert keys(made) == "#blueb#redac#–d"
    assert made.next_group() == ""
    assert keys(made) == "abcd"


docs = st.builds(
    Doc, st.sampled_from(["ann", "bob", "x", "y z"]), st.none() | st.integers(0, 3),
    st.sampled_from(["", "red", "blue"]),
)  # fmt: skip
changes = st.dictionaries(st.sampled_from("abcdefgh"), st.none() | docs, max_size=6)
choices = st.sampled_from(["", "sort", "team", "filter", "columns"])


@given(st.lists(st.tuples(changes, choices), max_size=12))
def test_kept_current_is_the_same_as_made_anew(steps: list[tuple[dict[str, Doc], str]]) -> None:
    layout, pattern, now = Layout(), "", dict[str, Doc]()
    kept = table(layout)
    for change, choice in steps:
        for key, doc in change.items():
            now = {k: v for k, v in now.items() if k != key} if doc is None else {**now, key: doc}
        if choice == "sort":
            kept.sort_by("size")
        elif choice == "team":
            kept.next_group()
        elif choice == "filter":
            pattern = {"": "b", "b": "!b"}.get(pattern, "")
        elif choice == "columns":
            layout.columns = () if layout.columns else ("team", "size")
        kept.sync(now, 0.0, pattern)
        anew = table(layout)
        anew.sync(now, 0.0, pattern)
        assert _ranked(kept, now) == _ranked(anew, now)
        assert kept.matching == anew.matching


def _ranked(made: Table[Doc], now: dict[str, Doc]) -> list[object]:
    """Equal documents may stand in any order among themselves."""
    return [now.get(key, key) for key in made.keys]


def test_reading_rows_ahead_changes_nothing_but_the_time_it_takes() -> None:
    made = table()
    made.sync(DOCS, 0.0)
    assert made.prepare(3)
    assert not made.prepare(3)
    assert keys(made, pattern="an") == "ad"


@pytest.mark.parametrize("text", ["", "!", "a", "!a", "[", "![", "a|b", "^$"])
def test_a_filter_and_its_inverse_share_everything_out(text: str) -> None:
    lines = ["", "a", "b", "[", "A["]
    plainly, inverse = Filter(text.lstrip("!")), Filter("!" + text.lstrip("!"))
    for line in lines:
        assert plainly.fits(line) != inverse.fits(line) or plainly.empty


# ── selections ─────────────────────────────────────────────────────────────────────────────────


def test_picks_ranges_and_all() -> None:
    rows, picked = ["a", HEADING + "x", "b", "c", "d"], Selection()
    picked.toggle("a")
    picked.toggle(None)
    assert picked.of(rows, 0) == {"a"}
    picked.range(rows, 4)
    assert picked.of(rows, 1) == {"a", "b", "c", "d"}, "headings are never selected"
    assert picked.has("c", 3, 1, rows)
    picked.range(rows, 3)
    assert picked.of(rows, 0) == {"a", "c", "d"}
    picked.all(rows)
    assert picked.of(rows, 0) == {"a", "b", "c", "d"}
    picked.all(rows)
    assert picked.of(rows, 0) == set()


def test_what_left_the_list_is_not_selected_and_comes_back_so() -> None:
    picked = Selection()
    picked.toggle("a")
    picked.toggle("b")
    assert picked.of(["b", "c"], 0) == {"b"}
    assert picked.of(["a", "b"], 0) == {"a", "b"}
    assert picked.clear()
    assert not picked.clear()
