"""The time that commands reckon ages by: the core's, which in the demo is that of another day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flextui.core.client import CoreInfo

_ahead = [0.0]


def follow(info: CoreInfo) -> None:
    """From now on it is that core's time."""
    _ahead[0] = info.ahead_s


def now() -> float:
    """Unix seconds there."""
    return time.time() + _ahead[0]
