"""How a place in the queue and an expected start read."""

from __future__ import annotations

from typing import Any

import pytest

from flextui.core.model.times import iso
from flextui.screens.waiting import clock, expected_text, ordinal, place_text

NOW = 1_700_000_000.0


def expected(
    at: float | None, latest: float | None = None, sureness: str = "likely"
) -> dict[str, Any]:
    return {
        "at": None if at is None else iso(NOW + at),
        "latest": None if latest is None else iso(NOW + latest),
        "sureness": sureness,
        "text": "why",
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (113, "113th")],
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_an_expected_start_with_its_latest() -> None:
    soon, late = clock(NOW + 7800, NOW), clock(NOW + 20_000, NOW)
    told = expected_text(expected(7800, 20_000), NOW)
    assert told == f"in about 2h10m ({soon}), at the latest {late}; likely: why"
    assert expected_text(expected(7800), NOW, brief=True) == f"in about 2h10m ({soon}), likely"


def test_a_promise_is_told_as_one() -> None:
    told = expected_text(expected(3600, 3600, "certain"), NOW)
    assert told == f"by {clock(NOW + 3600, NOW)} at the latest, in 1h; certain: why"


def test_now_and_never() -> None:
    assert expected_text(expected(0, None, "certain"), NOW, brief=True) == "now, certain"
    assert expected_text(expected(None, None, "unknown"), NOW) == "unknown: why"
    assert expected_text(None, NOW) == ""


def test_another_day_is_told_with_the_time() -> None:
    assert clock(NOW + 3 * 86_400, NOW)[:3] in "Mon Tue Wed Thu Fri Sat Sun"
    assert clock(NOW + 30 * 86_400, NOW).startswith("2023-12")


def test_a_place_says_which_factors_gave_it() -> None:
    factors = [
        {"name": "priority", "weight": 1000, "value": 0.5, "text": "its own priority"},
        {"name": "age", "weight": 1, "value": 0.25, "text": "has waited 2h"},
    ]
    task = {
        "position": 3,
        "waiting": 12,
        "factors": factors,
        "behind": "bob/big goes first by priority",
    }
    assert place_text(task) == (
        "3rd of 12: priority 500 of 1000 (its own priority), age 0.25 (has waited 2h); "
        "bob/big goes first by priority"
    )
    assert place_text({"position": None}) == ""
