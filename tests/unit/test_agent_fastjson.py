"""The agent's JSON must be the standard library's JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.agent import fastjson

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, width=64)
)
VALUES = st.recursive(
    LEAVES.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_both_ways_agree_with_the_json_package(value: object) -> None:
    assert json.loads(fastjson.dumps(value)) == value
    assert fastjson.loads(json.dumps(value)) == value
    assert fastjson.loads(f" \n{json.dumps(value, indent=1)}\t ") == value


@given(st.text())
def test_any_text_is_read_as_the_json_package_reads_it(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=lambda name: int(name))
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any wording will do
            fastjson.loads(text)
    else:
        assert fastjson.loads(text) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1j: 2}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        fastjson.dumps(value)


def test_deep_nesting_is_an_error_like_any_other() -> None:
    with pytest.raises(ValueError, match="too deeply"):
        fastjson.loads("[" * 100_000)


def test_a_refusal_leaves_nothing_behind() -> None:
    shared = [1]
    with pytest.raises(TypeError):
        fastjson.dumps([shared, object()])

    assert fastjson.dumps([shared, shared]) == "[[1],[1]]"
