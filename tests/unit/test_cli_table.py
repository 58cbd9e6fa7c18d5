"""Tables: whole in a pipe, fitted on a terminal, harmless whoever wrote the cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flextui.cli.table import Cell, Column, render

COLUMNS = (Column("NAME", shrink=1), Column("N", right=True), Column("REASON", shrink=2))


def test_a_pipe_gets_everything() -> None:
    reason = "x" * 500
    lines = render(COLUMNS, [("train", "3", reason)], width=None, colour=False)
    assert lines == ["NAME   N  REASON", f"train  3  {reason}"]


def test_a_terminal_is_never_overrun_and_the_most_willing_column_gives_way() -> None:
    row = ("a-rather-long-name", "12", "a reason that goes on and on and on")
    lines = render(COLUMNS, [row], width=40, colour=False)
    assert max(map(len, lines)) <= 40
    assert "a-rather-long-name" in lines[1]
    assert lines[1].endswith("…")


def test_where_there_is_no_room_the_least_needed_columns_are_left_out() -> None:
    columns = (
        Column("NAME", shrink=1, least=10), Column("KIND", drop=1), Column("UUID", drop=2),
        Column("REASON", shrink=2, least=12),
    )  # fmt: skip
    row = ("a-rather-long-name", "service", "GPU-00000000", "a reason that goes on and on")

    def shown(width: int) -> list[str]:
        heading, line = render(columns, [row], width=width, colour=False)
        assert len(line) <= width
        return heading.split()

    assert shown(80) == ["NAME", "KIND", "UUID", "REASON"]
    assert shown(44) == ["NAME", "KIND", "REASON"]
    assert shown(24) == ["NAME", "REASON"]
    assert render(columns, [row], width=24, colour=False)[1] == "a-rather-…  a reason th…"


def test_an_empty_cell_keeps_its_column() -> None:
    assert render(COLUMNS, [("a", "", "b")], width=None, colour=False)[1].split() == ["a", "-", "b"]


def test_colour_repeats_and_changes_no_width() -> None:
    rows = [(Cell("a", "red"), "1", "x"), ("bbb", "2", "y")]
    plain = render(COLUMNS, rows, width=None, colour=False)
    painted = render(COLUMNS, rows, width=None, colour=True)
    assert "\x1b[31ma\x1b[0m" in painted[1]
    assert painted[1].replace("\x1b[31m", "").replace("\x1b[0m", "") == plain[1]


def test_wide_characters_take_two_cells() -> None:
    lines = render(COLUMNS, [("訓練", "1", "x"), ("abcd", "1", "x")], width=None, colour=False)
    assert lines[1].index("1") + 2 == lines[2].index("1")


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5), st.integers(20, 120))
def test_no_cell_can_drive_the_terminal(rows: list[tuple[str, str, str]], width: int) -> None:
    for line in render(COLUMNS, rows, width=width, colour=False):
        assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in line)
