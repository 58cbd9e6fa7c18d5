"""The lease of an attempt counts from when its start may have been sent."""

from __future__ import annotations

import time
from typing import Any

from flextui.agent.lease import Lease


class _Told:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def tell(self, message: dict[str, Any], flags: int = 0) -> None:
        self.messages.append(message)


def a_lease(age_s: float, told: _Told) -> Lease:
    request = {"lease_s": 20.0, "lease_age_s": age_s, "core_id": "core1", "nonce": "ab"}
    return Lease(request, "a1", told)  # type: ignore[arg-type]


def test_a_start_as_old_as_its_lease_has_no_time_left() -> None:
    assert a_lease(20.1, _Told()).check(time.monotonic())


def test_a_renewal_says_whose_it_is() -> None:
    told = _Told()
    assert not a_lease(0.0, told).check(time.monotonic())
    assert told.messages == [
        {"k": "renew", "attempt": "a1", "core_id": "core1", "nonce": "ab", "seq": 1}
    ]
