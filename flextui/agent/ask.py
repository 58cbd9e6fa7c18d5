"""Questions to one GPU: what it can't tell is left out, what shows that it is broken is raised.

Cards differ in what they can tell. A question that isn't supported is asked once and then left
out for a while; one that fails for good reason condemns this card alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Set

_VITAL = ("memory_v2", "nvmlDeviceGetMemoryInfo")
"""Calls whose 'unknown error' means a broken GPU; of others laptops know it as a nuisance."""


class Trouble(Exception):
    """The device can't be read: state for the wire, and why."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.text = text


class Ask:
    """Asks handles of one kind, as they can tell the same. `nvml` is the pynvml module."""

    def __init__(self, nvml: Any) -> None:
        self.nvml = nvml
        self._missing: Set[str] = set()

    def renew(self) -> None:
        """Ask everything again: another driver may tell more."""
        self._missing.clear()

    def __call__(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """One value, or None where it isn't supported or isn't there. Raises Trouble."""
        if call.__name__ in self._missing:
            return None
        nvml = self.nvml
        try:
            return call(*arguments)
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
                raise Trouble("lost", str(error)) from None
            broken = call.__name__ in _VITAL and error.value == nvml.NVML_ERROR_UNKNOWN
            if broken or error.value == nvml.NVML_ERROR_RESET_REQUIRED:
                raise Trouble("error", str(error)) from None
            if error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                self._missing.add(call.__name__)
            return None

    def memory(self, handle: Any) -> Any:
        """Total and used; used without what the driver keeps for itself, where it says so."""

        def memory_v2(handle: Any) -> Any:
            return self.nvml.nvmlDeviceGetMemoryInfo(handle, self.nvml.nvmlMemory_v2)

        found = self(memory_v2, handle)
        return self(self.nvml.nvmlDeviceGetMemoryInfo, handle) if found is None else found
