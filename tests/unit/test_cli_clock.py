"""Commands reckon by the clock of the core that they ask."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from flextui.cli import clock
from flextui.core.client import CoreInfo
from tests.unit.cli_fakes import FakeCore

DAY = 86_400.0


@pytest.fixture
def info() -> Iterator[CoreInfo]:
    found = FakeCore().info
    yield found
    clock.follow(found)


def test_ages_are_reckoned_from_the_day_that_the_core_lives_in(info: CoreInfo) -> None:
    clock.follow(replace(info, ahead_s=-30 * DAY))
    assert clock.now() == pytest.approx(time.time() - 30 * DAY, abs=3600)
    clock.follow(info)
    assert clock.now() == pytest.approx(time.time(), abs=3600)
