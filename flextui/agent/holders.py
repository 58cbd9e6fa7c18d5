"""The processes that are on a GPU or a slice: how much memory each holds, and how busy it is."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .ask import Ask
    from .owners import Owners

LOOK_BACK_S = 2.0
"""The driver keeps some samples of each process's work; those before this don't count."""


def holders(ask: Ask, handle: Any, owners: Owners) -> List[Dict[str, Any]]:
    """The wire's processes of a device, each pid once: compute, graphics, MPS. Raises Trouble."""
    nvml = ask.nvml
    memory: Dict[int, Optional[int]] = {}
    for call, older in (
        (nvml.nvmlDeviceGetComputeRunningProcesses_v3,
         nvml.nvmlDeviceGetComputeRunningProcesses_v2),
        (nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
         nvml.nvmlDeviceGetGraphicsRunningProcesses_v2),
        (nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3,
         nvml.nvmlDeviceGetMPSComputeRunningProcesses_v2),
    ):  # fmt: skip
        listed = ask(call, handle)
        if listed is None:
            listed = ask(older, handle)
        for process in listed or ():
            used = process.usedGpuMemory
            if process.pid in memory:
                used = max(used or 0, memory[process.pid] or 0) or None
            memory[process.pid] = used
    return [dict(owners.describe(pid), memory_bytes=used) for pid, used in memory.items()]


def measure_work(
    ask: Ask, handle: Any, processes: List[Dict[str, Any]], whole: Optional[int]
) -> None:
    """Tell each process's part of the device's utilisation, in percent; None where it isn't told.

    The only process does all the work there is: then the driver is not asked. Raises Trouble.
    """
    if len(processes) == 1:
        processes[0]["utilization"] = whole
        return
    busy = _busy(ask, handle) if processes else None
    for process in processes:
        process["utilization"] = None if busy is None else busy.get(process["pid"], 0)


def _busy(ask: Ask, handle: Any) -> Optional[Dict[int, int]]:
    """Percent by pid, of processes that did anything of late."""
    nvml = ask.nvml

    def process_utilization() -> Any:
        try:
            since = int((time.time() - LOOK_BACK_S) * 1e6)
            return nvml.nvmlDeviceGetProcessUtilization(handle, since)
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_NOT_FOUND:
                raise
            return ()

    samples = ask(process_utilization)
    if samples is None:
        return None
    newest = sorted(samples, key=lambda sample: int(sample.timeStamp))
    return {sample.pid: min(100, sample.smUtil) for sample in newest}
