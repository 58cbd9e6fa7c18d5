"""Quick copies of records are the copies that `dataclasses.replace` makes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from flextui.core.model.records import changed, quick
from flextui.core.model.state import Account, AttemptState, Meter
from tests.unit.test_store import a_task, an_attempt


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (an_attempt(1), {"state": AttemptState.LOST, "exit_code": 3, "master": "n1:1"}),
        (an_attempt(1), {}),
        (a_task(1), {"served_s": 2.0, "failures": (1.0,)}),
        (Account("p", "u"), {"hours": {1: 2.0}}),
        (Meter(1.0), {"over_told": True}),
    ],
)
def test_a_copy_is_the_same_but_for_its_fields(record: Any, fields: dict[str, Any]) -> None:
    copy = changed(record, **fields)
    assert copy == replace(record, **fields)
    assert copy is not record


@quick
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    seen: list[int] = field(default_factory=list)


def test_a_quick_record_is_made_as_any_other() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, seen=[])"
    assert Point(1, y=3, seen=[4]) == Point(1, 3, [4])
    assert Point(1).seen is not Point(1).seen
    with pytest.raises(TypeError, match="x"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(FrozenInstanceError):
        Point(1).x = 2  # type: ignore[misc]


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError, match="staet"):
        changed(an_attempt(1), staet=1)
