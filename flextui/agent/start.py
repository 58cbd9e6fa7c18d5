"""Starting an attempt exactly once, whatever dies on the way.

The order is the whole point: the folder is made, its lock taken, the devices are claimed, a child
is forked that waits at a gate, the identity is fsynced, and only then the gate opens. Whoever is
killed in between leaves either an attempt that never ran and may be tried again under the lock,
or one whose identity says that it may have run and must not run again.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from . import attempt, claims, procs, records, root, workload
from .light import AF_UNIX, SOCK_DGRAM, Socket, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

    Request = Dict[str, Any]
    Step = Callable[[str], None]
    Tell = Callable[["Life"], None]

LOCK_PATIENCE_S = 0.2
"""A probe of the agent holds the lock for microseconds; a living supervisor holds it for good."""

_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl
_FULL = (errno.ENOSPC, errno.EDQUOT)
_GONE = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR, errno.ENOTCONN)


class Refused(Exception):
    """The attempt will not run; `code` and `details` are the wire's."""

    def __init__(self, code: str, text: str, **details: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.details = details


class Life:
    """Everything that belongs to one running attempt."""

    def __init__(self, folder: int, lock: int) -> None:
        self.folder = folder
        self.lock = lock
        self.root = -1
        self.claims = claims.Claims("")
        self.control = Socket(AF_UNIX, SOCK_DGRAM)
        self.identity: Dict[str, Any] = {}
        self.pid = 0
        self.output: Dict[int, str] = {}
        """Read ends of the workload's pipes, and which stream each is."""
        self.report = -1
        """Read end of a pipe that tells of an exec that failed, and closes with one that works."""


def begin(request: Request, tell: Tell, at_step: Step) -> Optional[Life]:
    """Bring an attempt to the point where its workload runs.

    None: somebody else has the attempt, or it is settled already. Raises Refused after making sure
    that it will never run. `tell(life)` is called as soon as the identity is durable: from then on
    the attempt counts as running, whatever happens to anyone.
    """
    folder = _open(request)
    at_step("made")
    lock = attempt.lock(folder, LOCK_PATIENCE_S)
    if lock is None:
        return None
    at_step("locked")
    traces = os.listdir(folder)
    if traces != ["lock"]:
        if attempt.settled(folder):
            return None
        _clear_traces(folder)
    life = Life(folder, lock)
    try:
        _prepare(life, request, tell, at_step)
    except Exception as error:
        refused = error if isinstance(error, Refused) else _explain(error)
        _clear(life)
        _bury(folder, refused, request.get("nonce") or "")
        raise refused from None
    return life


def _open(request: Request) -> int:
    try:
        core_fd = os.open(request["core_dir"], os.O_RDONLY | os.O_DIRECTORY)
        try:
            return attempt.make(core_fd, request["attempt"])
        finally:
            os.close(core_fd)
    except OSError as error:
        raise _explain(error) from None


def _prepare(life: Life, request: Request, tell: Tell, at_step: Step) -> None:
    life.root = os.open("../../..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=life.folder)
    root.keep(life.root)
    life.claims = claims.Claims(request["claims_dir"])
    try:
        life.claims.take(request.get("devices") or [], _holder(request))
    except claims.Claimed as taken:
        raise Refused("claimed", str(taken), device=taken.device, by=taken.by) from None
    at_step("claimed")
    records.reserve(life.folder, "exit.json")
    _listen(life)
    gate = _fork(life, request)
    at_step("forked")
    _let_go(life, request, gate, tell, at_step)


def _holder(request: Request) -> Dict[str, Any]:
    return {key: request.get(key) for key in ("core_id", "user", "attempt", "boot")}


def _listen(life: Life) -> None:
    """Open the socket by which the agent of the day tells this supervisor to stop."""
    life.control.bind("/proc/self/fd/%d/ctl" % life.folder)


def _fork(life: Life, request: Request) -> int:
    """Fork the child that will become the workload; returns the gate's write end."""
    workdir = request.get("workdir") or "~"
    try:
        os.chdir(workload.folder(workdir))
    except OSError as error:
        text = "workdir %s: %s" % (workdir, error.strerror)
        raise Refused("no_workdir", text) from None
    if _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    signal.signal(signal.SIGCHLD, _awake)
    out, err, gate, report = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    life.pid = os.fork()
    if life.pid == 0:
        os.close(gate[1])
        os.close(life.lock)
        # The read ends go along: a workload whose supervisor was killed must not die of EPIPE.
        keep = [out[0], err[0], *life.claims.fds]
        workload.become(request, gate[0], report[1], (out[1], err[1]), keep)
    os.chdir("/")
    for fd in (out[1], err[1], gate[0], report[1]):
        os.close(fd)
    life.output = {out[0]: "out", err[0]: "err"}
    life.report = report[0]
    return gate[1]


def _awake(number: int, frame: object) -> None:
    """A signal's work is done by the loop that it wakes."""


def _let_go(life: Life, request: Request, gate: int, tell: Tell, at_step: Step) -> None:
    """Write the identity and open the gate, unless another core drives this node by now."""
    try:
        ticks, own = procs.ticks(life.pid), procs.ticks(os.getpid())
        if ticks is None or own is None:
            raise Refused("failed", "the forked child vanished: is the machine out of memory?")
        fence = _driver_lock(life.folder)
        try:
            _check_driver(life.folder, request)
            life.identity = attempt.new_identity(request, life.pid, ticks, own)
            records.create(life.folder, "identity.json", life.identity)
            at_step("identified")
            tell(life)
            at_step("told")
            _open_gate(gate)
        finally:
            os.close(fence)
    finally:
        os.close(gate)
    at_step("opened")


def _open_gate(gate: int) -> None:
    try:
        os.write(gate, b"g")
    except BrokenPipeError:
        pass  # the child was killed at the gate: waitpid will tell


def _driver_lock(folder: int) -> int:
    """Keep the driver from changing between the look at its record and the open gate."""
    fd = os.open("../../driver.lock", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def _check_driver(folder: int, request: Request) -> None:
    driver = records.read(folder, "../../driver.json") or {}
    if driver.get("core_id") != request["core_id"]:
        raise Refused("not_driver", "driven by %s" % driver.get("owner", "nobody"))
    if driver.get("epoch") != request["epoch"]:
        raise Refused("epoch", "a newer start of this core drives the node")


def _clear(life: Life) -> None:
    """Undo a start that was refused: the child at the gate has read its end by now."""
    if life.pid:
        os.waitpid(life.pid, 0)
    life.claims.release()
    _clear_traces(life.folder)


def _clear_traces(folder: int) -> None:
    """Remove what a start leaves that ended before its workload was let go."""
    for name in ("identity.json", "exit.json", "ctl"):
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            pass


def _bury(folder: int, refused: Refused, nonce: str) -> None:
    """A start that was refused must not happen later, by a request that is still on its way."""
    try:
        attempt.bury(folder, refused.code, refused.text, nonce)
    except OSError:
        pass  # a full disk: the late request is refused by it as well


def _explain(error: Exception) -> Refused:
    if not isinstance(error, OSError):
        return Refused("failed", "%s: %s" % (type(error).__name__, error))
    text = error.strerror or str(error)
    if error.errno in _FULL:
        return Refused("no_space", "the state folder's disk is full: %s" % text)
    if error.errno in _GONE:
        return Refused("state_missing", "the state folder can't be reached: %s" % text)
    return Refused("failed", "the attempt could not be set up: %s" % text)
