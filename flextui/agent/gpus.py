"""What the NVML child does: each second all GPUs, and XIDs the moment that NVML tells them.

Only this module loads pynvml, ctypes and the driver's library, and only in a process that may
hang or be killed at any time. It says what it saw in JSON lines on a pipe and decides nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

from . import fastjson
from .owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

LAYOUT_EVERY_S = 10.0
"""Which GPUs and MIG slices there are changes seldom, and asking costs the most."""
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_NO_INSTANCE = 0xFFFFFFFF
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
# NVIDIA's XID catalogue, in few words.
_XIDS = {
    8: "GPU stopped processing",
    13: "graphics engine exception, by the application",
    31: "memory page fault, by the application",
    32: "invalid or corrupted push buffer",
    38: "driver firmware error",
    43: "GPU stopped processing, by the application",
    45: "preemptive cleanup, after another error",
    48: "double-bit ECC error",
    61: "internal micro-controller breakpoint",
    62: "internal micro-controller halt",
    63: "row remapping or page retirement recorded",
    64: "row remapping or page retirement failed",
    68: "video processor exception",
    69: "graphics engine class error",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    92: "high rate of single-bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    109: "context switch timeout",
    119: "GSP firmware timeout",
    120: "GSP firmware error",
    121: "C2C link error",
    123: "power management firmware error",
    140: "unrecovered ECC error",
    143: "GPU initialisation error",
    154: "GPU recovery action changed",
}


def run(writing: int, interval_s: float, parent: int, library: str) -> None:
    """Sample until the parent is gone. One line `error` is written when NVML can't be used."""
    _isolate(parent)
    try:
        import pynvml

        _load(library)
        pynvml.nvmlInit()
        watch = _Watch(pynvml, Owners())
        due = time.monotonic()
        while os.getppid() == parent:
            _write(writing, watch.sample())
            due = max(due + interval_s, time.monotonic() + interval_s / 2)
            while os.getppid() == parent:
                left = due - time.monotonic()
                if left <= 0:
                    break
                event = watch.wait(left)
                if event:
                    _write(writing, event)
    except BrokenPipeError:
        return
    except Exception as error:
        _write(writing, {"t": "error", "text": str(error) or type(error).__name__})


def _isolate(parent: int) -> None:
    """Forget the agent's signal handlers, and die with it however it ends."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NAME, b"flextui-nvml", 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _load(library: str) -> None:
    """Let pynvml find a library outside the linker's paths: one that is loaded already is taken."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return  # pynvml says what is wrong


def _write(fd: int, message: Dict[str, Any]) -> None:
    """One line; it begins with a line's end, as a child before may have been killed within one."""
    data = b"\n" + fastjson.dumps(message).encode("utf-8", "replace") + b"\n"
    while data:
        data = data[os.write(fd, data) :]


class _Gpu:
    """One device: its handle and what doesn't change from second to second."""

    __slots__ = ("facts", "handle", "mig", "missing")

    def __init__(self, handle: Any, facts: Dict[str, Any]) -> None:
        self.handle = handle
        self.facts = facts
        self.mig: Optional[List[Tuple[Any, Dict[str, Any]]]] = None
        self.missing: Set[str] = set()
        """Names of calls that this device doesn't support."""


class _Trouble(Exception):
    """The device can't be read: state for the wire, and why."""

    def __init__(self, state: str, text: str) -> None:
        super().__init__(text)
        self.state = state
        self.text = text


class _Watch:
    """Reads the GPUs through pynvml, keeping handles and facts between samples."""

    def __init__(self, nvml: Any, owners: Owners) -> None:
        self._nvml = nvml
        self._owners = owners
        self._gpus: Dict[int, _Gpu] = {}
        self._events: Any = None
        self._watched: Set[int] = set()
        self._next_layout = 0.0
        self._versions = {"driver_version": self._driver(), "cuda_version": self._cuda()}

    def sample(self) -> Dict[str, Any]:
        """The child's `gpus` message. Raises NVMLError when the driver is gone."""
        if time.monotonic() >= self._next_layout:
            self._layout()
            self._next_layout = time.monotonic() + LAYOUT_EVERY_S
        gpus = [self._read(gpu) for _, gpu in sorted(self._gpus.items())]
        self._owners.keep_only(process["pid"] for gpu in gpus for process in gpu["processes"])
        return {"t": "gpus", "gpus": gpus, **self._versions}

    def wait(self, seconds: float) -> Optional[Dict[str, Any]]:
        """Wait for an XID: its message, or None when the time is over."""
        began = time.monotonic()
        if self._events is not None:
            try:
                event = self._nvml.nvmlEventSetWait_v2(self._events, int(seconds * 1000) + 1)
                return self._xid(event)
            except self._nvml.NVMLError as error:
                if error.value == self._nvml.NVML_ERROR_TIMEOUT:
                    return None
                self._next_layout = 0.0  # a device is gone: watch the others anew
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        return None

    # ── layout ─────────────────────────────────────────────────────────────────────────────────

    def _layout(self) -> None:
        """Find the GPUs and their slices; one that can't be opened keeps its former facts."""
        found: Dict[int, _Gpu] = {}
        for index in range(self._nvml.nvmlDeviceGetCount()):
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                known = self._gpus.get(index)
                uuid = self._nvml.nvmlDeviceGetUUID(handle)
                if known is None or known.facts["uuid"] != uuid:
                    known = _Gpu(handle, self._facts(handle, index, uuid))
                known.handle = handle
                known.missing.clear()
                known.mig = self._slices(handle)
                found[index] = known
            except self._nvml.NVMLError:
                if index in self._gpus:
                    found[index] = self._gpus[index]
        self._gpus = found
        self._register()

    def _facts(self, handle: Any, index: int, uuid: str) -> Dict[str, Any]:
        return {
            "uuid": uuid,
            "index": index,
            "model": self._nvml.nvmlDeviceGetName(handle),
            "memory_bytes": None,
            "numa": self._numa(handle),
        }

    def _slices(self, handle: Any) -> Optional[List[Tuple[Any, Dict[str, Any]]]]:
        """The MIG slices with their handles; None where MIG is off or unknown."""
        nvml = self._nvml
        try:
            if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
                return None
            count = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
        except nvml.NVMLError:
            return None
        slices = []
        for number in range(count):
            try:
                piece = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
                facts = {
                    "uuid": nvml.nvmlDeviceGetUUID(piece),
                    "profile": nvml.nvmlDeviceGetName(piece).rpartition("MIG ")[2],
                    "instance": nvml.nvmlDeviceGetGpuInstanceId(piece),
                }
            except nvml.NVMLError:
                continue  # slices may be numbered with gaps
            slices.append((piece, facts))
        return slices

    def _register(self) -> None:
        """Watch the XIDs of all GPUs; one event set for those that can be watched."""
        nvml = self._nvml
        handles = {index: gpu.handle for index, gpu in self._gpus.items()}
        if self._events is not None and self._next_layout and set(handles) == self._watched:
            return
        self._watched = set(handles)
        try:
            if self._events is not None:
                nvml.nvmlEventSetFree(self._events)
            self._events = nvml.nvmlEventSetCreate()
        except nvml.NVMLError:
            self._events = None
            return
        registered = False
        for handle in handles.values():
            try:
                nvml.nvmlDeviceRegisterEvents(
                    handle, nvml.nvmlEventTypeXidCriticalError, self._events
                )
                registered = True
            except nvml.NVMLError:
                continue
        if not registered:
            nvml.nvmlEventSetFree(self._events)
            self._events = None

    # ── one sample ─────────────────────────────────────────────────────────────────────────────

    def _read(self, gpu: _Gpu) -> Dict[str, Any]:
        """The wire's GPU object."""
        found: Dict[str, Any] = {
            **gpu.facts,
            "memory_used_bytes": None,
            "utilization": None,
            "temperature_c": None,
            "power_w": None,
            "power_limit_w": None,
            "ecc_uncorrected": None,
            "recovery_action": None,
            "mig": None,
            "state": "ok",
            "text": "",
            "processes": [],
        }
        try:
            self._measure(gpu, found)
        except _Trouble as trouble:
            found.update(state=trouble.state, text=trouble.text)
        return found

    def _measure(self, gpu: _Gpu, found: Dict[str, Any]) -> None:
        nvml, handle = self._nvml, gpu.handle
        memory = self._memory(gpu, handle)
        if memory is not None:
            found["memory_used_bytes"] = memory.used
            gpu.facts["memory_bytes"] = found["memory_bytes"] = memory.total
        rates = self._ask(gpu, nvml.nvmlDeviceGetUtilizationRates, handle)
        found["utilization"] = None if rates is None else rates.gpu
        found["temperature_c"] = self._temperature(gpu)
        found["power_w"] = _watts(self._ask(gpu, nvml.nvmlDeviceGetPowerUsage, handle))
        limit = self._ask(gpu, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        found["power_limit_w"] = _watts(limit)
        found["ecc_uncorrected"] = self._ask(
            gpu,
            nvml.nvmlDeviceGetTotalEccErrors,
            handle,
            nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            nvml.NVML_VOLATILE_ECC,
        )
        action = self._ask(gpu, self._recovery_action, handle)
        found["recovery_action"] = action
        if action:
            found["text"] = _RECOVERY.get(action, "recovery action %d is due" % action)
        if gpu.mig is not None:
            found["mig"] = [self._slice(gpu, piece, facts) for piece, facts in gpu.mig]
        found["processes"] = self._processes(gpu)

    def _slice(self, gpu: _Gpu, piece: Any, facts: Dict[str, Any]) -> Dict[str, Any]:
        memory = self._memory(gpu, piece)
        return {
            "uuid": facts["uuid"],
            "profile": facts["profile"],
            "memory_bytes": None if memory is None else memory.total,
            "memory_used_bytes": None if memory is None else memory.used,
        }

    def _processes(self, gpu: _Gpu) -> List[Dict[str, Any]]:
        """Compute, graphics and MPS processes, each pid once for the GPU or slice it is on."""
        nvml = self._nvml
        instances = {facts["instance"]: facts["uuid"] for _, facts in gpu.mig or ()}
        found: Dict[Tuple[int, Optional[str]], Dict[str, Any]] = {}
        for call, older in (
            (nvml.nvmlDeviceGetComputeRunningProcesses_v3,
             nvml.nvmlDeviceGetComputeRunningProcesses_v2),
            (nvml.nvmlDeviceGetGraphicsRunningProcesses_v3,
             nvml.nvmlDeviceGetGraphicsRunningProcesses_v2),
            (nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3,
             nvml.nvmlDeviceGetMPSComputeRunningProcesses_v2),
        ):  # fmt: skip
            listed = self._ask(gpu, call, gpu.handle)
            if listed is None:
                listed = self._ask(gpu, older, gpu.handle)
            for process in listed or ():
                instance = getattr(process, "gpuInstanceId", None)
                key = (process.pid, instances.get(instance))
                memory = process.usedGpuMemory
                if key in found:
                    memory = max(memory or 0, found[key]["memory_bytes"] or 0) or None
                else:
                    found[key] = self._owners.describe(process.pid)
                    if key[1]:
                        found[key]["mig"] = key[1]
                found[key]["memory_bytes"] = memory
        return list(found.values())

    # ── single questions ───────────────────────────────────────────────────────────────────────

    def _ask(self, gpu: _Gpu, call: Callable[..., Any], *arguments: Any) -> Any:
        """One value, or None when this device doesn't support it. Raises _Trouble."""
        if call.__name__ in gpu.missing:
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
                gpu.missing.add(call.__name__)
            return None

    def _temperature(self, gpu: _Gpu) -> Optional[int]:
        """Of the chip, in degrees Celsius; drivers of CUDA 14 drop the older call."""
        for call in (self._nvml.nvmlDeviceGetTemperature, self._nvml.nvmlDeviceGetTemperatureV):
            found = self._ask(gpu, call, gpu.handle, 0)
            if found is not None:
                return int(found)
        return None

    def _memory(self, gpu: _Gpu, handle: Any) -> Any:
        """Total and used; used without what the driver keeps for itself, where it says so."""
        found = self._ask(gpu, self._memory_v2, handle)
        return (
            self._ask(gpu, self._nvml.nvmlDeviceGetMemoryInfo, handle) if found is None else found
        )

    def _memory_v2(self, handle: Any) -> Any:
        return self._nvml.nvmlDeviceGetMemoryInfo(handle, self._nvml.nvmlMemory_v2)

    def _recovery_action(self, handle: Any) -> Optional[int]:
        field = self._nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
        value = self._nvml.nvmlDeviceGetFieldValues(handle, [field])[0]
        return None if value.nvmlReturn else int(value.value.uiVal)

    def _numa(self, handle: Any) -> Optional[int]:
        """The memory node of the CPUs beside the GPU; None on a machine with a single one."""
        try:
            return int(self._nvml.nvmlDeviceGetNumaNodeId(handle))
        except self._nvml.NVMLError:
            pass
        try:
            address = self._nvml.nvmlDeviceGetPciInfo(handle).busId
            address = address.decode() if isinstance(address, bytes) else address
            with open("/sys/bus/pci/devices/%s/numa_node" % address[-12:].lower()) as file:
                node = int(file.read())
        except (self._nvml.NVMLError, OSError, ValueError):
            return None
        return node if node >= 0 else None

    def _driver(self) -> Optional[str]:
        try:
            return str(self._nvml.nvmlSystemGetDriverVersion())
        except self._nvml.NVMLError:
            return None

    def _cuda(self) -> Optional[str]:
        """The newest CUDA that the driver serves, such as '12.8'."""
        try:
            version = self._nvml.nvmlSystemGetCudaDriverVersion_v2()
        except self._nvml.NVMLError:
            return None
        return "%d.%d" % (version // 1000, version % 1000 // 10)

    def _xid(self, event: Any) -> Optional[Dict[str, Any]]:
        """The wire's `xid` message; `mig` names the slice where the event tells it."""
        try:
            uuid = self._nvml.nvmlDeviceGetUUID(event.device)
        except self._nvml.NVMLError:
            uuid = self._uuid_of(event.device)
        message = {"t": "xid", "uuid": uuid, "xid": int(event.eventData)}
        message["text"] = _XIDS.get(message["xid"], "XID %d" % message["xid"])
        instance = int(event.gpuInstanceId)
        if instance != _NO_INSTANCE:
            for gpu in self._gpus.values():
                for _, facts in gpu.mig or ():
                    if gpu.facts["uuid"] == uuid and facts["instance"] == instance:
                        message["mig"] = facts["uuid"]
        return message

    def _uuid_of(self, device: Any) -> Optional[str]:
        """A lost device doesn't tell its UUID any more; its handle was kept."""
        wanted = ctypes.cast(device, ctypes.c_void_p).value
        for gpu in self._gpus.values():
            if ctypes.cast(gpu.handle, ctypes.c_void_p).value == wanted:
                return str(gpu.facts["uuid"])
        return None


def _watts(milliwatts: Optional[int]) -> Optional[float]:
    return None if milliwatts is None else round(milliwatts / 1000.0, 1)
