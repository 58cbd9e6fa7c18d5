"""One GPU as NVML describes it: its lasting facts, its slices, and a measurement at a time."""

from __future__ import annotations

from . import slices, topology
from .ask import Ask, Trouble
from .holders import holders, measure_work
from .speed import MEASURED, Speed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from .owners import Owners

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
    "memory_utilization",
    "temperature_c",
    "power_w",
    "power_limit_w",
    "ecc_uncorrected",
    "recovery_action",
    *MEASURED,
)


class Device:
    """A GPU that was opened. `nvml` is the pynvml module."""

    def __init__(self, nvml: Any, handle: Any, index: int) -> None:
        """Raises NVMLError when it doesn't even tell its name."""
        self._nvml = nvml
        self._ask = Ask(nvml)
        self._ask_slice = Ask(nvml)
        self._speed = Speed(self._ask)
        self.slices: Optional[List[slices.Slice]] = None
        """None where MIG is off or unknown."""
        self.handle = handle
        self.uuid = str(nvml.nvmlDeviceGetUUID(handle))
        self.address = self._address()
        self._facts: Dict[str, Any] = {
            "uuid": self.uuid,
            "index": index,
            "model": nvml.nvmlDeviceGetName(handle),
            "memory_bytes": None,
            "numa": topology.numa(nvml, handle, self.address),
        }

    def renew(self, handle: Any) -> None:
        """Look again at what changes seldom: slices, and what the card can tell. Raises NVMLError
        for a GPU that is lost; its former slices stay known."""
        self.handle = handle
        self._ask.renew()
        self._ask_slice.renew()
        self.slices = slices.find(self._nvml, handle)
        try:
            self._speed.renew(handle)
        except Trouble:
            pass  # the next measurement tells it

    def numa(self) -> Optional[int]:
        """The memory node of the CPUs beside it; None on a machine with a single one."""
        found: Optional[int] = self._facts["numa"]
        return found

    def read(self, owners: Owners) -> Dict[str, Any]:
        """The wire's GPU object."""
        found: Dict[str, Any] = {**self._facts, **dict.fromkeys(_MEASURED)}
        known = None if self.slices is None else [piece.facts() for piece in self.slices]
        found.update(mig=known, state="ok", text="", processes=[])
        try:
            self._measure(found)
            found["processes"] = self._processes(owners, found["utilization"])
        except Trouble as trouble:
            found.update(state=trouble.state, text=trouble.text)
        return found

    def slice_uuid(self, instance: int) -> Optional[str]:
        """The MIG slice that is this GPU instance."""
        for piece in self.slices or ():
            if piece.instance == instance:
                return piece.uuid
        return None

    def _measure(self, found: Dict[str, Any]) -> None:
        nvml, handle = self._nvml, self.handle
        memory = self._ask.memory(handle)
        if memory is not None:
            found["memory_used_bytes"] = memory.used
            self._facts["memory_bytes"] = found["memory_bytes"] = memory.total
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        found["utilization"] = None if rates is None else rates.gpu
        found["memory_utilization"] = None if rates is None else rates.memory
        found["temperature_c"] = self._temperature()
        found["power_w"] = _watts(self._ask(nvml.nvmlDeviceGetPowerUsage, handle))
        found["power_limit_w"] = _watts(self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle))
        found["ecc_uncorrected"] = self._ask(
            nvml.nvmlDeviceGetTotalEccErrors,
            handle,
            nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            nvml.NVML_VOLATILE_ECC,
        )
        found.update(self._speed.measure(handle))
        action = found["recovery_action"] = self._ask(self._recovery_action)
        if action:
            found["text"] = _RECOVERY.get(action, "recovery action %d is due" % action)
        if self.slices is not None:
            found["mig"] = [piece.measure(self._ask_slice) for piece in self.slices]

    def _processes(self, owners: Owners, utilization: Optional[int]) -> List[Dict[str, Any]]:
        """Those of the GPU, or of each of its slices."""
        if self.slices is None:
            found = holders(self._ask, self.handle, owners)
            measure_work(self._ask, self.handle, found, utilization)
            return found
        return [
            dict(process, mig=piece.uuid, utilization=None)
            for piece in self.slices
            for process in holders(self._ask_slice, piece.handle, owners)
        ]

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

    def _address(self) -> str:
        """Where it is on the bus; empty if it doesn't tell."""
        try:
            return topology.bus_address(self._nvml.nvmlDeviceGetPciInfo(self.handle))
        except self._nvml.NVMLError:
            return ""


def _watts(milliwatts: Optional[int]) -> Optional[float]:
    return None if milliwatts is None else round(milliwatts / 1000.0, 1)
