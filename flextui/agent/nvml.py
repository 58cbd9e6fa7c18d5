"""The GPUs as seen from the agent: a child that talks to NVML, and can be killed.

When a GPU falls off the bus (XID 79) calls into the driver never return, so no call is made in
the agent itself. The child writes JSON lines to a pipe; one that falls silent is killed and
replaced, ever more slowly, and until a new one answers the last known facts are shown as such.
The child holds nothing of the agent's: no descriptor, no lock, and it dies with it.
"""

from __future__ import annotations

import os
import select
import time

from . import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

LIBRARY = "libnvidia-ml.so.1"
START_WITHIN_S = 60.0
"""A box without persistence mode wakes its GPUs one by one at the first call."""
HANG_AFTER_S = 10.0
"""Silence beyond the sampling interval after which the child counts as hung."""
MAX_BACKOFF_S = 60.0
MAX_STUCK = 3
"""Killed children that the kernel can't end yet; no more are added to them."""
CLOSE_WITHIN_S = 0.2
_MEASURED = (
    "utilization",
    "memory_utilization",
    "temperature_c",
    "power_w",
    "memory_used_bytes",
    "fan",
    "clock_mhz",
    "throttle",
)
"""Of a GPU, what no longer holds when nobody measures it."""
_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
)


def library() -> Optional[str]:
    """Where NVML's library is, without loading it: a path, its bare name, or None.

    In the order of the dynamic linker: LD_LIBRARY_PATH, the linker's cache, default folders.
    """
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder and os.path.exists(folder + "/" + LIBRARY):
            return folder + "/" + LIBRARY
    try:
        with open("/etc/ld.so.cache", "rb", 0) as file:
            if b"\0" + LIBRARY.encode() + b"\0" in (file.readall() or b""):
                return LIBRARY
    except OSError:
        pass
    for folder in _FOLDERS:
        if os.path.exists(folder + "/" + LIBRARY):
            return folder + "/" + LIBRARY
    return None


class NvmlWatch:
    """Keeps one NVML child alive and remembers what it said last."""

    def __init__(
        self,
        interval_s: float = 1.0,
        start_within_s: float = START_WITHIN_S,
        hang_after_s: float = HANG_AFTER_S,
    ) -> None:
        self._interval_s = interval_s
        self._start_within_s = start_within_s
        self._hang_after_s = hang_after_s
        self._pid = 0
        self._writing = -1
        self._buffer = b""
        self._deadline = 0.0
        self._next_start = 0.0
        self._failures = 0
        self._stuck: List[int] = []
        self._known: Dict[str, Dict[str, Any]] = {}
        self.fd: Optional[int] = None
        """To select on for reading, once there is a library; the same for all children."""
        self.status = "absent"
        """starting, ok, absent, hung, or `error: …`."""
        self.driver_version: Optional[str] = None
        self.cuda_version: Optional[str] = None

    def start(self) -> None:
        """Start the child if there is a library to load."""
        if library() is None:
            self._next_start = time.monotonic() + MAX_BACKOFF_S
            return
        if self.status == "absent":
            self.status = "starting"
        if self.fd is None:
            self.fd, self._writing = os.pipe()
            os.set_blocking(self.fd, False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _become_child(self._writing, self._interval_s, parent)
        self._deadline = time.monotonic() + self._start_within_s

    def gpus(self) -> List[Dict[str, Any]]:
        """The GPUs as last seen, by index; while NVML doesn't answer they are in state error."""
        gpus = sorted(self._known.values(), key=lambda gpu: int(gpu["index"]))
        if self.status in ("ok", "starting", "absent"):
            return gpus
        why = "NVML doesn't answer" if self.status == "hung" else "NVML: " + self.status[7:]
        return [gpu if gpu["state"] == "lost" else _unseen(gpu, "error", why) for gpu in gpus]

    def on_readable(self) -> List[Dict[str, Any]]:
        """Take what the child wrote: `xid` and `places` messages to push, and `{"t": "fresh"}` when
        GPUs can be seen that couldn't before."""
        if self.fd is None:
            return []
        pushes: List[Dict[str, Any]] = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return pushes
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in filter(None, lines):
                try:
                    message = fastjson.loads(line.decode("utf-8", "replace"))
                except ValueError:
                    continue  # half a line, of a child that was killed
                pushes += self._take(message)

    def check(self) -> None:
        """Kill a child that fell silent, and start one that is due; call it about each second."""
        now = time.monotonic()
        self._stuck = [pid for pid in self._stuck if not _reaped(pid)]
        if self.fd is not None and _readable(self.fd):
            return  # it did answer: this very process was held up
        if not self._pid:
            if now >= self._next_start and len(self._stuck) < MAX_STUCK:
                self.start()
        elif _reaped(self._pid):
            if not self.status.startswith("error: "):
                self.status = "error: NVML's child ended by itself"
            self._failed()
        elif now > self._deadline:
            self.status = "hung"
            self._kill()
            self._failed()

    def close(self) -> None:
        """End the child; waits for its end, but not for a driver that doesn't let it go."""
        if self._pid:
            self._kill()
        until = time.monotonic() + CLOSE_WITHIN_S
        while self._stuck and time.monotonic() < until:
            self._stuck = [pid for pid in self._stuck if not _reaped(pid)]
            time.sleep(0.002)
        if self.fd is not None:
            os.close(self.fd)
            os.close(self._writing)
            self.fd = None

    def _take(self, line: Dict[str, Any]) -> List[Dict[str, Any]]:
        kind = line.get("t")
        if kind == "gpus":
            return self._take_gpus(line)
        if kind in ("xid", "places"):
            return [line]
        if kind == "error":
            self.status = "error: " + line["text"]
        return []

    def _take_gpus(self, line: Dict[str, Any]) -> List[Dict[str, Any]]:
        was_ok, self.status = self.status == "ok", "ok"
        self._failures = 0
        self._deadline = time.monotonic() + self._interval_s + self._hang_after_s
        self.driver_version = line["driver_version"]
        self.cuda_version = line["cuda_version"]
        seen = {gpu["uuid"]: gpu for gpu in line["gpus"]}
        for uuid, gpu in self._known.items():
            if uuid not in seen:
                seen[uuid] = _unseen(gpu, "lost", "the driver lists it no more")
        self._known = seen
        return [] if was_ok else [{"t": "fresh"}]

    def _kill(self) -> None:
        try:
            os.kill(self._pid, 9)
        except OSError:
            pass
        self._stuck.append(self._pid)

    def _failed(self) -> None:
        """There is no child for now; the next one starts later each time."""
        self._pid = 0
        self._failures += 1
        self._next_start = time.monotonic() + min(MAX_BACKOFF_S, 2.0 ** (self._failures - 1))


def _unseen(gpu: Dict[str, Any], state: str, text: str) -> Dict[str, Any]:
    """A GPU's lasting facts, without the measurements that nobody made."""
    found = {**gpu, **dict.fromkeys(_MEASURED), "state": state, "text": text, "processes": []}
    if gpu["mig"]:
        found["mig"] = [dict(piece, memory_used_bytes=None) for piece in gpu["mig"]]
    return found


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _become_child(writing: int, interval_s: float, parent: int) -> None:
    """In the forked child: keep nothing of the agent's but the pipe, and never return."""
    try:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) != writing:
                try:
                    os.close(int(name))
                except OSError:
                    continue
        from . import gpus

        gpus.run(writing, interval_s, parent, library() or LIBRARY)
    finally:
        os._exit(0)
