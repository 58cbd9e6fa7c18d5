"""A few letters are enough, and what is meant comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flextui.screens.fuzzy import Names, match

NAMES = [
    "fleet", "jobs", "gpus", "events", "job bob/train-resnet j1", "job eve/eval j12",
    "job web/chat-api j2", "logs web/chat-api j2", "node gpu1", "node gpu10", "stop", "theme",
    "slow line", "new job", "read-only",
]  # fmt: skip


def best(wanted: str) -> list[str]:
    return [it.name for it in Names(NAMES).best(wanted, 20)[0]]


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("jobs", "jobs"), ("fl", "fleet"), ("gpu1", "node gpu1"),
        ("gp10", "node gpu10"), ("chat", "job web/chat-api j2"),
        ("log chat", "logs web/chat-api j2"), ("j12", "job eve/eval j12"),
        ("ca", "job web/chat-api j2"), ("ro", "read-only"),
        ("TRAIN", "job bob/train-resnet j1"), ("sl", "slow line"),
        ("btr", "job bob/train-resnet j1"),
        ("resnet train", "job bob/train-resnet j1"),
    ],
)  # fmt: skip
def test_what_is_meant_comes_first(wanted: str, first: str) -> None:
    assert best(wanted)[0] == first, best(wanted)[:4]


def test_what_does_not_fit_is_left_out_and_how_many_fit_is_known() -> None:
    assert best("zzz") == []
    found, count = Names(NAMES).best("job", 2)
    assert (len(found), count) == (2, 5)
    assert Names(NAMES).best("", 3) == ([(0, "fleet", ()), (0, "jobs", ()), (0, "gpus", ())], 15)
    assert Names([]).best("a", 3) == ([], 0)


letters = st.text(alphabet="ab/- c", max_size=8)


@given(st.lists(st.text(alphabet="abc/- ", max_size=12), max_size=20), letters)
def test_the_fast_search_finds_what_matching_each_name_finds(names: list[str], wanted: str) -> None:
    found, count = Names(names).best(wanted, 100)
    if wanted.split():
        fitting = [name for name in names if match(wanted, name)]
        assert sorted(it.name for it in found) == sorted(fitting)
        assert count == len(fitting)


@given(st.text(alphabet="abcxyz/- ", min_size=1), st.text(alphabet="abcxyz ", min_size=1))
def test_the_marked_letters_are_those_that_were_typed(name: str, wanted: str) -> None:
    found = match(wanted, name)
    if found is not None:
        marked = {name[at] for at in found.at}
        assert marked == set(wanted.replace(" ", ""))


def test_ten_thousand_names_are_searched_while_one_types() -> None:
    names = [f"job user{n % 7}/train-{n} j{n}" for n in range(10_000)]
    many = Names(names)
    assert many.best("j9999", 5)[0][0].name.endswith("j9999")
    assert many.best("train 77 user3", 5)[1] > 5


def test_a_name_that_is_typed_whole_comes_before_longer_ones() -> None:
    names = Names(["bob/llama-pretrain-2", "bob/llama-pretrain", "eve/llama-pretrain-10"])
    assert names.best("llama-pretrain", 1)[0][0].name == "bob/llama-pretrain"
