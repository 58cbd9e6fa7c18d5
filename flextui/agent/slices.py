"""The MIG slices of one GPU: devices of their own, each with a name, a size and processes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .ask import Ask


class Slice:
    """One slice. NVML answers for it by a handle of its own, whoever asks; for the slices of a
    whole GPU at once it answers administrators alone."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        """Raises NVMLError."""
        self.handle = handle
        self.uuid = str(nvml.nvmlDeviceGetUUID(handle))
        self.profile = str(nvml.nvmlDeviceGetName(handle)).rpartition("MIG ")[2]
        self.instance = int(nvml.nvmlDeviceGetGpuInstanceId(handle))
        self._size: Optional[int] = None

    def facts(self) -> Dict[str, Any]:
        """What the wire tells of it though nothing can be measured."""
        return {
            "uuid": self.uuid,
            "profile": self.profile,
            "memory_bytes": self._size,
            "memory_used_bytes": None,
        }

    def measure(self, ask: Ask) -> Dict[str, Any]:
        """The same with its memory. Raises Trouble."""
        found = self.facts()
        memory = ask.memory(self.handle)
        if memory is not None:
            self._size = found["memory_bytes"] = memory.total
            found["memory_used_bytes"] = memory.used
        return found


def find(nvml: Any, gpu: Any) -> Optional[List[Slice]]:
    """The slices of a GPU; None where MIG is off or unknown. Raises NVMLError for a lost GPU."""
    try:
        if nvml.nvmlDeviceGetMigMode(gpu)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return None
        count = nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)
    except nvml.NVMLError as error:
        if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED):
            raise
        return None
    found = []
    for number in range(count):
        try:
            found.append(Slice(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, number)))
        except nvml.NVMLError:
            continue  # slices may be numbered with gaps
    return found
