"""What the NVML child does: each second all GPUs, and XIDs the moment that NVML tells them.

Only this module loads pynvml, ctypes and the driver's library, and only in a process that may
hang or be killed at any time. It says what it saw in JSON lines on a pipe and decides nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

from . import fastjson, topology
from .device import Device
from .owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

LAYOUT_EVERY_S = 10.0
"""Which GPUs and MIG slices there are changes seldom, and asking costs the most."""
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
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
            for message in watch.look():
                _write(writing, message)
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


class _Watch:
    """Reads the GPUs through pynvml, keeping handles and facts between samples."""

    def __init__(self, nvml: Any, owners: Owners) -> None:
        self._nvml = nvml
        self._owners = owners
        self._gpus: Dict[int, Device] = {}
        self._events: Any = None
        self._watched: Set[int] = set()
        self._next_layout = 0.0
        self._placed: List[Tuple[str, List[str]]] = []
        self._versions = {"driver_version": self._driver(), "cuda_version": self._cuda()}

    def look(self) -> Iterator[Dict[str, Any]]:
        """The child's messages of one moment: `places` when there are other devices than before,
        and `gpus`. Raises NVMLError when the driver is gone."""
        if time.monotonic() >= self._next_layout:
            self._layout()
            self._next_layout = time.monotonic() + LAYOUT_EVERY_S
            gpus = [self._gpus[index] for index in sorted(self._gpus)]
            devices = [(gpu.uuid, [piece.uuid for piece in gpu.slices or ()]) for gpu in gpus]
            if devices != self._placed:
                self._placed = devices
                yield {"t": "places", "places": topology.places(self._nvml, gpus)}
        yield self._sample()

    def _sample(self) -> Dict[str, Any]:
        gpus = [self._gpus[index].read(self._owners) for index in sorted(self._gpus)]
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

    def _layout(self) -> None:
        """Find the GPUs and their slices; one that can't be opened keeps its former facts."""
        found: Dict[int, Device] = {}
        for index in range(self._nvml.nvmlDeviceGetCount()):
            known = self._gpus.get(index)
            try:
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                uuid = self._nvml.nvmlDeviceGetUUID(handle)
                if known is None or known.uuid != uuid:
                    known = Device(self._nvml, handle, index)
                known.renew(handle)
            except self._nvml.NVMLError:
                pass
            if known is not None:
                found[index] = known
        self._gpus = found
        self._register()

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

    def _xid(self, event: Any) -> Dict[str, Any]:
        """The wire's `xid` message; `mig` names the slice where the event tells it."""
        gpu = self._by_handle(event.device)
        number = int(event.eventData)
        message = {"t": "xid", "uuid": gpu and gpu.uuid, "xid": number}
        message["text"] = _XIDS.get(number, "XID %d" % number)
        mig = gpu and gpu.slice_uuid(int(event.gpuInstanceId))
        if mig:
            message["mig"] = mig
        return message

    def _by_handle(self, handle: Any) -> Optional[Device]:
        """By the handle that was registered: a lost device doesn't tell its UUID any more."""
        wanted = ctypes.cast(handle, ctypes.c_void_p).value
        for gpu in self._gpus.values():
            if ctypes.cast(gpu.handle, ctypes.c_void_p).value == wanted:
                return gpu
        return None
