"""One GPU as NVML describes it: its lasting facts, its slices, and a measurement at a time.

Cards differ in what they can tell. A question that isn't supported is asked once and then left
out for a while; one that fails for good reason condemns this card alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    from .owners import Owners

    Slice = Tuple[Any, Dict[str, Any]]  # handle, facts

_VITAL = ("_memory_v2", "nvmlDeviceGetMemoryInfo")
"""Calls whose 'unknown error' means a broken GPU; of others laptops know it as a nuisance."""
_RECOVERY = {
    1: "it needs a reset",
    2: "the node needs a reboot",
    3: "peer-to-peer traffic has to be drained",
    4: "it has to be drained and reset",
    5: "the IMEX domain has to be recovered",
    6: "its bus needs a reset",
    7: "the system needs a reboot",
}
_MEASURED = (
    "memory_used_bytes",
    "utilization",
    "temperature_c",
    "power_w",
    "power_limit_w",
    "ecc_uncorrected",
    "recovery_action",
    "mig",
)


class _Trouble(Exception):
    """The device can't be read: state for the wire, and why."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.text = text


class Device:
    """A GPU that was opened. `nvml` is the pynvml module."""

    def __init__(self, nvml: Any, handle: Any, index: int) -> None:
        """Raises NVMLError when it doesn't even tell its name."""
        self._nvml = nvml
        self._missing: Set[str] = set()
        self._slices: Optional[List[Slice]] = None
        self.handle = handle
        self.uuid = str(nvml.nvmlDeviceGetUUID(handle))
        self._facts: Dict[str, Any] = {
            "uuid": self.uuid,
            "index": index,
            "model": nvml.nvmlDeviceGetName(handle),
            "memory_bytes": None,
            "numa": self._numa(),
        }

    def renew(self, handle: Any) -> None:
        """Look again at what changes seldom: slices, and what the card can tell."""
        self.handle = handle
        self._missing.clear()
        self._slices = self._find_slices()

    def read(self, owners: Owners) -> Dict[str, Any]:
        """The wire's GPU object."""
        found: Dict[str, Any] = {**self._facts, **dict.fromkeys(_MEASURED)}
        found.update(state="ok", text="", processes=[])
        try:
            self._measure(found)
            found["processes"] = self._processes(owners)
        except _Trouble as trouble:
            found.update(state=trouble.state, text=trouble.text)
        return found

    def slice_uuid(self, instance: int) -> Optional[str]:
        """The MIG slice that is this GPU instance."""
        for _, facts in self._slices or ():
            if facts["instance"] == instance:
                return str(facts["uuid"])
        return None

    def _measure(self, found: Dict[str, Any]) -> None:
        nvml, handle = self._nvml, self.handle
        memory = self._memory(handle)
        if memory is not None:
            found["memory_used_bytes"] = memory.used
            self._facts["memory_bytes"] = found["memory_bytes"] = memory.total
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        found["utilization"] = None if rates is None else rates.gpu
        found["temperature_c"] = self._temperature()
        found["power_w"] = _watts(self._ask(nvml.nvmlDeviceGetPowerUsage, handle))
        found["power_limit_w"] = _watts(self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle))
        found["ecc_uncorrected"] = self._ask(
            nvml.nvmlDeviceGetTotalEccErrors,
            handle,
            nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            nvml.NVML_VOLATILE_ECC,
        )
        action = found["recovery_action"] = self._ask(self._recovery_action)
        if action:
            found["text"] = _RECOVERY.get(action, "recovery action %d is due" % action)
        if self._slices is not None:
            found["mig"] = [self._measure_slice(*piece) for piece in self._slices]

    def _measure_slice(self, handle: Any, facts: Dict[str, Any]) -> Dict[str, Any]:
        memory = self._memory(handle)
        return {
            "uuid": facts["uuid"],
            "profile": facts["profile"],
            "memory_bytes": None if memory is None else memory.total,
            "memory_used_bytes": None if memory is None else memory.used,
        }

    def _processes(self, owners: Owners) -> List[Dict[str, Any]]:
        """Compute, graphics and MPS processes, each pid once for the GPU or slice it is on."""
        nvml = self._nvml
        found: Dict[Tuple[int, Optional[str]], Dict[str, Any]] = {}
        for call, older in (
            (nvml.nvmlDeviceGetComputeRunningProcesses_v3,
             nvml.nvmlDeviceGetComputeRunningProcesses_v2),
            (nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
             nvml.nvmlDeviceGetGraphicsRunningProcesses_v2),
            (nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3,
             nvml.nvmlDeviceGetMPSComputeRunningProcesses_v2),
        ):  # fmt: skip
            listed = self._ask(call, self.handle)
            if listed is None:
                listed = self._ask(older, self.handle)
            for process in listed or ():
                memory = process.usedGpuMemory
                key = (process.pid, self.slice_uuid(process.gpuInstanceId))
                if key in found:
                    memory = max(memory or 0, found[key]["memory_bytes"] or 0) or None
                else:
                    found[key] = owners.describe(process.pid)
                    if key[1]:
                        found[key]["mig"] = key[1]
                found[key]["memory_bytes"] = memory
        return list(found.values())

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """One value, or None when this device doesn't support it. Raises _Trouble."""
        if call.__name__ in self._missing:
            return None
        nvml = self._nvml
        try:
            return call(*arguments)
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
                raise _Trouble("lost", str(error)) from None
            broken = call.__name__ in _VITAL and error.value == nvml.NVML_ERROR_UNKNOWN
            if broken or error.value == nvml.NVML_ERROR_RESET_REQUIRED:
                raise _Trouble("error", str(error)) from None
            if error.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                self._missing.add(call.__name__)
            return None

    def _memory(self, handle: Any) -> Any:
        """Total and used; used without what the driver keeps for itself, where it says so."""
        found = self._ask(self._memory_v2, handle)
        return self._ask(self._nvml.nvmlDeviceGetMemoryInfo, handle) if found is None else found

    def _memory_v2(self, handle: Any) -> Any:
        return self._nvml.nvmlDeviceGetMemoryInfo(handle, self._nvml.nvmlMemory_v2)

    def _temperature(self) -> Optional[int]:
        """Of the chip, in degrees Celsius; drivers of CUDA 14 drop the older call."""
        for call in (self._nvml.nvmlDeviceGetTemperature, self._nvml.nvmlDeviceGetTemperatureV):
            found = self._ask(call, self.handle, 0)
            if found is not None:
                return int(found)
        return None

    def _recovery_action(self) -> Optional[int]:
        field = self._nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
        value = self._nvml.nvmlDeviceGetFieldValues(self.handle, [field])[0]
        return None if value.nvmlReturn else int(value.value.uiVal)

    def _numa(self) -> Optional[int]:
        """The memory node of the CPUs beside the GPU; None on a machine with a single one."""
        nvml = self._nvml
        try:
            return int(nvml.nvmlDeviceGetNumaNodeId(self.handle))
        except nvml.NVMLError:
            pass
        try:
            address = nvml.nvmlDeviceGetPciInfo(self.handle).busId
            address = address.decode() if isinstance(address, bytes) else address
            with open("/sys/bus/pci/devices/%s/numa_node" % address[-12:].lower()) as file:
                node = int(file.read())
        except (nvml.NVMLError, OSError, ValueError):
            return None
        return node if node >= 0 else None

    def _find_slices(self) -> Optional[List[Slice]]:
        """The MIG slices; None where MIG is off or unknown."""
        nvml = self._nvml
        try:
            if nvml.nvmlDeviceGetMigMode(self.handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
                return None
            count = nvml.nvmlDeviceGetMaxMigDeviceCount(self.handle)
        except nvml.NVMLError:
            return None
        slices = []
        for number in range(count):
            try:
                handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self.handle, number)
                facts = {
                    "uuid": nvml.nvmlDeviceGetUUID(handle),
                    "profile": nvml.nvmlDeviceGetName(handle).rpartition("MIG ")[2],
                    "instance": nvml.nvmlDeviceGetGpuInstanceId(handle),
                }
            except nvml.NVMLError:
                continue  # slices may be numbered with gaps
            slices.append((handle, facts))
        return slices


def _watts(milliwatts: Optional[int]) -> Optional[float]:
    return None if milliwatts is None else round(milliwatts / 1000.0, 1)
