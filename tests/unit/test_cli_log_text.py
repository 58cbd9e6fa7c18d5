"""Log text on a terminal: colours pass, nothing else drives it, however the pieces are cut."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flextui.cli.text import LogText

SGR = re.compile(r"\x1b\[[0-9;:]*m")
NASTY = st.lists(
    st.sampled_from(
        ["\x1b[31m", "\x1b]0;owned\x07", "\x1b[2J", "\x1bP+q\x1b\\", "\x9b2J", "\x07", "\r", "\r\n",
         "\n", "\x1b", "]", "[", "0", ";", "text", "\x1b[", "\x1b]52;c;ZXZpbA==\x1b\\"]
    )
).map("".join)  # fmt: skip


def shown(pieces: list[str], *, colour: bool = True) -> str:
    text = LogText(colour=colour)
    return "".join(map(text.feed, pieces)) + text.finish()


def test_colours_pass_and_are_ended() -> None:
    assert shown(["\x1b[31mred\n"]) == "\x1b[31mred\n\x1b[0m"


def test_without_colour_they_go() -> None:
    assert shown(["\x1b[31mred\x1b[0m\n"], colour=False) == "red\n"


def test_titles_clipboards_and_cursor_moves_go() -> None:
    assert shown(["a\x1b]0;owned\x07b\x1b[2Jc\x1b]52;c;eA==\x1b\\d\n"]) == "abcd\n"


def test_a_sequence_cut_in_two_is_still_one() -> None:
    assert shown(["a\x1b", "]0;ow", "ned\x07b\x1b[3", "1mc"]) == "ab\x1b[31mc\x1b[0m"


def test_an_unended_sequence_eats_no_more_than_its_line() -> None:
    assert shown(["\x1b]0;never ended\nnext line\n"]).endswith("next line\n")


def test_progress_bars_still_begin_their_line_anew() -> None:
    assert shown(["10%\r", "20%\r\n"]) == "10%\r20%\n"


@given(NASTY, st.data())
def test_nothing_but_colours_is_let_through(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    safe = SGR.sub("", shown([text[:cut], text[cut:]]))
    assert not any((ord(c) < 0x20 and c not in "\n\r\t") or 0x7F <= ord(c) < 0xA0 for c in safe)


@given(NASTY, st.data())
def test_where_the_pieces_are_cut_changes_nothing(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    assert shown([text[:cut], text[cut:]]) == shown([text])
