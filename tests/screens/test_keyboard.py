"""What a terminal sends, in whatever pieces, and what of it are keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.message import Message

from flextui.screens.keyboard import GARBLED_S, PIECE, Keyboard

UNKNOWN = (
    "\x1b[0n", "\x1b[?64;1;2c", "\x1b[9;9;9;9~", "\x1b[>0;276;0c", "\x1b[<;;M", "\x1b[<0;-5;3M",
    "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\", "\x1b]11;rgb:1e1e/1e1e/1e1e\x07", "\x1bP1+r6b=71\x1b\\",
    "\x1bP>|XTerm(388)\x1b\\", "\x1b_Gi=1;OK\x1b\\", "\x1b^sy\x1b\\", "\x1bXsy\x1b\\",
    "\x1b[1114112u", "\x1b[99999999999999u", "\x1b[55296u", "\x1b[128u", "\x1b[M sy", "\x1b[201~",
    "\x1b[48;0;0;0;0t", "\x1b[48;99999;99999;1;1t", "\x1b[" + "9" * 90 + "~", "\x1b[?1$y", "\x1bOz",
    "\x1b[[Z",
)  # fmt: skip
KNOWN = {
    "q": "q", "\x1b[A": "up", "\x1bOB": "down", "\x1b[1;5C": "ctrl+right", "\x1b[[A": "f1",
    "\x1b[15~": "f5", "\x1b[3$": "shift+delete", "\x1ba": "alt+a", "\x1b[105;5u": "ctrl+i",
    "é": "é", "\r": "enter", "\x7f": "backspace", "\x1b[Z": "shift+tab", "\x1bf": "alt+f",
}  # fmt: skip


def keys(found: list[Message]) -> list[str]:
    return [it.key for it in found if isinstance(it, events.Key)]


def pasted(found: list[Message]) -> str:
    return "".join(it.text for it in found if isinstance(it, events.Paste))


def later(board: Keyboard, silence: float = GARBLED_S + 1) -> list[Message]:
    return board.tick(silence)


@pytest.mark.parametrize("report", UNKNOWN)
def test_what_is_no_key_presses_none(report: str) -> None:
    board = Keyboard()
    assert keys(board.feed(report + "q" + report, 0.0)) == ["q"]
    assert keys(later(board)) == []
    assert keys(board.feed("q", 9.0)) == ["q"]


@pytest.mark.parametrize("code", KNOWN)
def test_keys_are_read(code: str) -> None:
    board = Keyboard()
    found = keys(board.feed(code + code, 0.0))
    named = {"alt+f": "ctrl+right"}.get(KNOWN[code], KNOWN[code])  # as Textual names it
    assert found in ([KNOWN[code]] * 2, [named] * 2)


@given(st.lists(st.sampled_from([*UNKNOWN, *KNOWN]), max_size=8), st.integers(1, 7))
def test_how_it_was_cut_makes_no_difference(codes: list[str], size: int) -> None:
    text = "".join(code for code in codes if "$" not in code)
    whole, pieces = Keyboard(), Keyboard()
    found: list[Message] = []
    for at in range(0, len(text), size):
        found += pieces.feed(text[at : at + size], 0.0)
    assert keys(found) == keys(whole.feed(text, 0.0))


@given(st.text(st.sampled_from("\x1b[]OPMm<;0129~u?$tn\\\x07\x18 sy\x00é\ud800\x9b\ufffd")))
def test_nothing_that_is_sent_breaks_it(text: str) -> None:
    board = Keyboard()
    for message in (*board.feed(text, 0.0), *later(board), *later(board)):
        if isinstance(message, events.Key) and message.character:
            message.character.encode()
    board.feed("\x1b[201~\x18\x1b[A", 9.0)
    assert not board.pending
    assert keys(board.feed("q", 9.0)) == ["q"]


@pytest.mark.parametrize(
    ("code", "pressed"),
    [("\x1b", ["escape"]), ("\x1bO", ["alt+shift+o"]), ("\x1bP", ["alt+shift+p"]), ("\x1b[", [])],
)
def test_a_key_that_could_begin_more_is_one_after_silence(code: str, pressed: list[str]) -> None:
    board = Keyboard()
    assert board.feed(code, 0.0) == []
    assert board.tick(0.01) == []
    assert keys(board.tick(0.2)) == pressed
    later(board)
    assert not board.pending


def test_a_sequence_that_never_ends_is_given_up() -> None:
    for begun in ("\x1b[12;", "\x1b]52;c;" + "A" * 100_000, "\x1bPq", "\x1b[M "):
        board = Keyboard()
        assert board.feed(begun, 0.0) == []
        assert len(board._rest) < 10
        assert keys(later(board)) == []
        assert keys(board.feed("q", 9.0)) == ["q"]


@given(st.text(st.sampled_from("ab\x1b[201~\n")), st.integers(1, 9))
def test_a_paste_comes_whole_and_presses_nothing(text: str, size: int) -> None:
    text = text.replace("\x1b[201~", "")
    board = Keyboard()
    found: list[Message] = []
    sent = f"\x1b[200~{text}\x1b[201~q"
    for at in range(0, len(sent), size):
        found += board.feed(sent[at : at + size], 0.0)
    assert pasted(found) == text
    assert keys(found) == ["q"]


@pytest.mark.parametrize("way_out", ["\x1b", "\x03", "\x1b[27u"])
def test_a_paste_whose_end_was_lost_leaves_the_keyboard_to_escape(way_out: str) -> None:
    board = Keyboard()
    found = board.feed("\x1b[200~kubectl delete", 0.0)
    found += later(board)
    assert pasted(found) == "kubectl delete", "what has come is handed on"
    found = board.feed(" sy", 3.0)
    assert not keys(found), "the line may just be slow"
    found += board.tick(5.0)
    assert pasted(found) == " sy"
    found = board.feed(way_out, 6.0) + board.tick(6.2)
    assert keys(found) in (["escape"], ["ctrl+c"])
    assert keys(board.feed("q", 7.0)) == ["q"]


def test_an_escape_within_a_paste_is_pasted() -> None:
    board = Keyboard()
    found = board.feed("\x1b[200~a\x1b", 0.0) + board.feed("[31mb\x1b[201~", 0.0)
    assert pasted(found) == "a\x1b[31mb"


def test_a_paste_without_end_takes_no_memory_without_end() -> None:
    board = Keyboard()
    found = board.feed("\x1b[200~", 0.0)
    for _ in range(9):
        found += board.feed("x" * (PIECE // 8 + 1), 0.0)
    assert pasted(found)
    assert sum(map(len, board._paste or [])) < PIECE


def test_of_a_flood_of_moves_the_last_one_counts() -> None:
    moves = "".join(f"\x1b[<35;{x};7M" for x in range(1, 200))
    found = Keyboard().feed(f"{moves}\x1b[<0;5;5M\x1b[<32;6;5M\x1b[<32;9;5M\x1b[<0;9;5m", 0.0)
    assert [type(it) for it in found] == [
        events.MouseMove, events.MouseDown, events.MouseMove, events.MouseUp
    ]  # fmt: skip
    assert [it.x for it in found if isinstance(it, events.MouseEvent)] == [198, 4, 8, 8]
    assert [type(it) for it in Keyboard().feed("\x1b[I\x1b[O" * 99, 0.0)] == [events.AppBlur]
