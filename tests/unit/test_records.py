"""Quick copies of records are the copies that `dataclasses.replace` makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flextui.core.model.records import changed
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


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError, match="staet"):
        changed(an_attempt(1), staet=1)
