"""How fast a GPU goes and what holds it back: clocks, throttling, its fan, its link to the host.

What the card could do at most changes only with its driver or its slot, and is asked seldom.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .ask import Ask

MEASURED = ("fan", "clock_mhz", "clock_max_mhz", "throttle", "pcie", "pcie_max")
"""The wire's fields; null where the card doesn't tell."""


class Speed:
    """Asks one device; `renew` now and then, `measure` at each sample."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._slow: Dict[str, Any] = {}

    def renew(self, handle: Any) -> None:
        """Ask for what changes seldom. Raises Trouble."""
        nvml, ask = self._ask.nvml, self._ask
        self._slow = {
            "clock_max_mhz": ask(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
            "pcie": _pair(
                ask(nvml.nvmlDeviceGetCurrPcieLinkGeneration, handle),
                ask(nvml.nvmlDeviceGetCurrPcieLinkWidth, handle),
            ),
            "pcie_max": _pair(
                ask(nvml.nvmlDeviceGetMaxPcieLinkGeneration, handle),
                ask(nvml.nvmlDeviceGetMaxPcieLinkWidth, handle),
            ),
        }

    def measure(self, handle: Any) -> Dict[str, Any]:
        """All of it. `throttle` is NVML's mask of clock event reasons. Raises Trouble."""
        nvml, ask = self._ask.nvml, self._ask
        reasons = ask(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if reasons is None:  # the name that it had in older drivers
            reasons = ask(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return {
            **dict.fromkeys(MEASURED),
            **self._slow,
            "fan": ask(nvml.nvmlDeviceGetFanSpeed, handle),
            "clock_mhz": ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
            "throttle": reasons,
        }


def _pair(generation: Optional[int], width: Optional[int]) -> Optional[List[int]]:
    return None if generation is None or width is None else [generation, width]
