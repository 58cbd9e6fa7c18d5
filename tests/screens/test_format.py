"""Words and glyphs: numbers keep their place, states have a glyph and a word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flextui.core.model.terminal import neutralise
from flextui.screens import format as fmt


def test_sizes_and_ages_are_short() -> None:
    assert [fmt.size(n) for n in (0, 1023, 1 << 30, 31 << 30, 3 << 39)] == [
        "0B", "1023B", "1.0G", "31G", "1.5T",
    ]  # fmt: skip
    assert [fmt.span_of(n) for n in (8, 61, 7300, 3 * 86400)] == ["8s", "1m", "2h", "3d"]
    assert fmt.size(None) == "n/a"


@given(st.floats(0, 1), st.integers(1, 40))
def test_a_bar_keeps_its_width(fraction: float, width: int) -> None:
    assert len(fmt.bar(fraction, width)) == width


@given(st.integers(0, 1 << 50))
def test_a_size_never_takes_more_than_six_cells(amount: int) -> None:
    assert len(fmt.size(amount)) <= 6


def test_every_state_has_glyph_and_word() -> None:
    for state in ("pending", "running", "succeeded", "failed", "stopped", "unknown", "lost"):
        glyph, word = fmt.state_cell(state)
        assert glyph.text.strip()
        assert word.text == state


@given(st.text())
def test_ascii_mode_draws_our_glyphs_in_ascii(text: str) -> None:
    assert not set(fmt.to_ascii("●◌✓✗■↻▒⊘█▇▁·▸×…─│")) - set(map(chr, range(128)))
    assert len(fmt.to_ascii(text)) == len(text)


@given(st.text(alphabet=st.characters(max_codepoint=0x2100)))
def test_no_control_sequence_but_colour_survives(text: str) -> None:
    import re

    safe = neutralise(text)
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", safe)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", rest)


def test_titles_clipboards_and_cursor_moves_are_taken_out() -> None:
    evil = "a\x1b]52;c;aGk=\x07b\x1b[2Jc\x1b]0;title\x1b\\d\x1b[31mred\x1b[0m\x9b5A\rX"
    assert neutralise(evil) == "abcd\x1b[31mred\x1b[0m^MX"
    assert neutralise(evil, colours=False) == "abcdred^MX"
