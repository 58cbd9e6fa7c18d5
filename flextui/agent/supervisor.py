"""The small process that owns one attempt and outlives everything else.

It keeps the workload's output, its limits and its lease, reaps the whole tree (it is a subreaper,
so nothing that descends from the workload can leave it) and writes how it ended. The truth is
waitpid's, is on disk before anyone hears of it, and never waits for output that a forgotten
process might hold open.
"""

from __future__ import annotations

import os
import select
import struct
import time
from _socket import MSG_DONTWAIT, SO_SNDTIMEO, SOL_SOCKET

from . import attempt, fastjson, logs, memory, procs, records, start
from .light import AF_UNIX, SOCK_DGRAM, Socket, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

END_S = 2.0
"""Longest time that an end waits for output and for processes that were left behind."""

STRAGGLE_S = 0.5
"""Processes that outlive the main one may end by themselves for this long (`cmd | tee log`)."""

TELL_S = 5
"""Longest time to wait for room in the agent's queue; the record on disk is found anyway."""

_AGAIN_S = 0.05

# Made before the fork, so that they cost each supervisor nothing.
_buffer = memoryview(bytearray(32 << 10))
_teller = Socket(AF_UNIX, SOCK_DGRAM)
_teller.setsockopt(SOL_SOCKET, SO_SNDTIMEO, struct.pack("ll", TELL_S, 0))
_LEASE_CHECK_S = 2.0


def _nothing(step: str) -> None:
    """What is done at each step of a start, but for tests that end the process there."""


def main(line: bytes, at_step: start.Step = _nothing) -> None:
    """Run one attempt from a request of the agent to its exit record."""
    request = fastjson.loads(line.decode())
    teller = Teller(request)
    try:
        life = start.begin(request, teller.begun, at_step)
    except start.Refused as refused:
        teller.refused(refused)
        return
    if life is None:
        teller.tell({"k": "look", "attempt": request["attempt"]})
        return
    try:
        Supervisor(request, life, teller).run()
    except Exception as error:
        text = "%s: %s" % (type(error).__name__, error)
        records.write(life.folder, "crash.json", {"text": text[:200]})
        raise


def no_process(line: bytes, error: OSError) -> None:
    """In the spawner: tell that there is no process for a supervisor."""
    text = "no process can be started on the node: %s" % error.strerror
    Teller(fastjson.loads(line.decode())).refused(start.Refused("failed", text))


class Teller:
    """Speaks to whichever agent listens at the moment; nobody listening is no fault."""

    def __init__(self, request: start.Request) -> None:
        self._request = request
        self.folder: Optional[int] = None

    def tell(self, message: Dict[str, Any], flags: int = 0) -> None:
        """Send a datagram to the agent of this attempt's core."""
        if self.folder is None:
            address = os.path.join(self._request["core_dir"], "agent.sock")
        else:
            # Through the folder itself: it may have been moved to a core that took over.
            address = "/proc/self/fd/%d/../agent.sock" % self.folder
        try:
            _teller.sendto(fastjson.dumps(message).encode("utf-8", "replace"), flags, address)
        except OSError:
            pass

    def begun(self, life: start.Life) -> None:
        """Tell that the attempt runs."""
        self.folder = life.folder
        self.record(attempt.as_record(life.identity, None, self._request["boot"]))

    def record(self, record: Dict[str, Any]) -> None:
        """Tell the state of the attempt."""
        self.tell({"k": "record", "record": record, "supervisor": os.getpid()})

    def refused(self, refused: start.Refused) -> None:
        """Tell that this start will not happen."""
        message = {"k": "refused", "code": refused.code, "text": refused.text}
        message.update(refused.details)
        message.update({key: self._request[key] for key in ("attempt", "spawn")})
        self.tell(message)


class Supervisor:
    """The life of an attempt after its start."""

    def __init__(self, request: start.Request, life: start.Life, teller: Teller) -> None:
        self._life = life
        self._teller = teller
        self._boot = request["boot"]
        self._grace = float(request.get("grace_s") or 0.0)
        self._logs = logs.Logs(life.folder, int(request.get("log_bytes") or 0))
        self._memory = memory.watch(request, life.pid)
        self._lease = Lease(request, life.identity["attempt"], teller)
        self._began = time.monotonic()
        limit = request.get("time_limit_s")
        self._limit_at = None if limit is None else self._began + float(limit)
        self._why, self._text = "exit", ""
        self._status: Optional[int] = None
        self._ended = 0.0
        self._childless = False
        self._kill_at: Optional[float] = None
        self._give_up_at: Optional[float] = None
        self._asked_to_end = False
        self._poll = select.poll()
        self._watch()

    def run(self) -> None:
        """Serve until the tree is gone, and leave the exit record."""
        while not self._over(time.monotonic()):
            self._wait()
            self._reap()
            self._enforce(time.monotonic())
            self._press(time.monotonic())
        self._sweep()
        self._finish()
        self._outlast()

    # what it listens to

    def _watch(self) -> None:
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        self._wake = wake
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_term)
        for fd in (wake, self._life.control.fileno(), *self._life.output):
            self._poll.register(fd, select.POLLIN)

    def _on_term(self, number: int, frame: object) -> None:
        self._asked_to_end = True

    def _wait(self) -> None:
        timeout = self._timeout()
        for fd, _ in self._poll.poll(None if timeout is None else int(timeout * 1000) + 1):
            if fd == self._wake:
                os.read(fd, 512)
            elif fd == self._life.control.fileno():
                self._on_control()
            else:
                self._on_output(fd)

    def _timeout(self) -> Optional[float]:
        """Seconds to the next thing that is due; None when only events matter."""
        now = time.monotonic()
        due: List[float] = []
        if self._status is None:
            if self._kill_at is None and self._limit_at is not None:
                due.append(self._limit_at)
            due += [at for at in (self._memory.due, self._lease.due) if at is not None]
        elif self._childless:
            due.append(self._ended + END_S)
        else:
            straggling = self._kill_at is None
            due.append(self._ended + STRAGGLE_S if straggling else self._last_moment())
        if self._kill_at is not None:
            due.append(self._kill_at)
        return max(0.0, min(due) - now) if due else None

    def _on_output(self, fd: int) -> None:
        size = os.readv(fd, [_buffer])
        if size:
            self._logs.write(self._life.output[fd], _buffer[:size])
        else:
            self._poll.unregister(fd)
            os.close(fd)
            del self._life.output[fd]

    def _on_control(self) -> None:
        message = fastjson.loads(self._life.control.recv(8192).decode())
        order = message.get("stop")
        if order:
            self._stop("stopped", str(order["text"]), float(order["grace_s"]))
        self._lease.on_message(message)

    # limits and the end

    def _enforce(self, now: float) -> None:
        if self._asked_to_end:
            self._asked_to_end = False
            self._stop("stopped", "the supervisor was asked to end (SIGTERM)", self._grace)
        if self._status is not None:
            return
        if self._limit_at is not None and now >= self._limit_at:
            self._limit_at = None
            self._stop("time_limit", "the time limit was reached", self._grace)
        if self._lease.check(now):
            self._stop("lease", "the core did not renew the lease", self._grace)
        over = self._memory.check(now)
        if over:
            self._stop("memory", over, 0.0)

    def _stop(self, why: str, text: str, grace: float) -> None:
        """Begin to end the tree, or hasten it; the first reason stands."""
        now = time.monotonic()
        if self._kill_at is None and self._status is None:
            self._why, self._text = why, text
            if grace > 0:
                procs.send(procs.descendants(os.getpid()), signal.SIGTERM)
        if self._kill_at is None or now + grace < self._kill_at:
            self._kill_at = now + grace
            self._give_up_at = self._kill_at + END_S

    def _reap(self) -> None:
        while not self._childless:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._childless = True
                return
            if pid == 0:
                return
            if pid == self._life.pid:
                self._status = status
                self._ended = time.monotonic()

    def _press(self, now: float) -> None:
        """Send what is due to processes that are still there."""
        if self._childless:
            return
        if self._kill_at is None and self._status is not None and now >= self._ended + STRAGGLE_S:
            procs.send(procs.descendants(os.getpid()), signal.SIGTERM)
            self._kill_at = now + (END_S - STRAGGLE_S) / 2
            self._give_up_at = self._ended + END_S
        if self._kill_at is not None and now >= self._kill_at:
            procs.send(procs.descendants(os.getpid()), signal.SIGKILL)
            self._kill_at = now + _AGAIN_S

    def _over(self, now: float) -> bool:
        if self._status is None:
            return False
        if self._childless:
            return not self._life.output or now >= self._ended + END_S
        return now >= self._last_moment()

    def _last_moment(self) -> float:
        """When an end is told though processes are left that can't be killed."""
        return max(self._ended + END_S, self._give_up_at or 0.0)

    def _sweep(self) -> None:
        """After a stop: end what left the tree but carries the mark (handed to an `at`, say)."""
        if self._why == "exit":
            return
        core, name = self._life.identity["core_id"], self._life.identity["attempt"]
        until = time.monotonic() + END_S
        clean = 0
        while clean < 2 and time.monotonic() < until:
            found = procs.marked([(core, name)])[name]
            procs.send(found, signal.SIGKILL)
            clean = 0 if found else clean + 1

    def _finish(self) -> None:
        """Put the end on disk, then tell it."""
        why, text = self._memory.verdict(self._status, self._why, self._text)
        text = text or os.read(self._life.report, 400).decode("utf-8", "replace")
        ran = self._ended - self._began
        last = self._logs.last_lines()
        ending = attempt.new_ending(why, text, self._logs.ends(), ran, self._status, last)
        patience = 60
        while True:
            try:
                records.write(self._life.folder, "exit.json", ending)
                break
            except OSError:
                patience -= 1
                if not patience:
                    raise
                time.sleep(1.0)
        self._teller.record(attempt.as_record(self._life.identity, ending, self._boot))
        if self._childless:
            self._life.claims.release()

    def _outlast(self) -> None:
        """Stay with processes that could not be killed yet: they still hold their devices."""
        while not self._childless:
            procs.send(procs.descendants(os.getpid()), signal.SIGKILL)
            time.sleep(1.0)
            self._reap()


class Lease:
    """The core's permission to go on, where the job asked to be fenced.

    It runs from when a renewal that was granted was *sent*, on the clock that goes on in sleep.
    """

    def __init__(self, request: start.Request, name: str, teller: Teller) -> None:
        length = request.get("lease_s")
        self._length = None if length is None else float(length)
        self._teller = teller
        self._name = name
        self._seq = 0
        self._sent: Dict[int, float] = {}
        # The core may have sent the start any time after its last word before it. The first
        # renewal, asked for at once, needs a moment all the same.
        age = min(float(request.get("lease_age_s") or 0.0), 0.8 * (self._length or 0.0))
        self._until = _boottime() - age + (self._length or 0.0)
        self._suspended = False
        self.due: Optional[float] = None if length is None else time.monotonic()
        self._renew_at = 0.0

    def check(self, now: float) -> bool:
        """Ask for renewal when it is time to; True when the lease has run out."""
        if self._length is None or self._suspended:
            return False
        clock = _boottime()
        if clock >= self._until:
            self.due = None
            self._length = None
            return True
        if clock >= self._renew_at:
            self._renew_at = clock + self._length / 3
            self._seq += 1
            self._sent[self._seq] = clock
            self._sent.pop(self._seq - 8, None)
            message = {"k": "renew", "attempt": self._name, "seq": self._seq}
            self._teller.tell(message, MSG_DONTWAIT)
        # Timers stand still while the machine sleeps: look often enough to be late by little.
        self.due = now + min(_LEASE_CHECK_S, self._length / 6, max(0.0, self._until - clock))
        return False

    def on_message(self, message: Dict[str, Any]) -> None:
        """Take a grant, or a pause that a core's clean end asked for, or its return."""
        if self._length is None:
            return
        sent = self._sent.get(message.get("grant", -1))
        if sent is not None:
            self._until = max(self._until, sent + self._length)
        if message.get("suspend"):
            self._suspended = True
            self.due = None
        if message.get("resume"):
            if self._suspended:
                self._until = _boottime() + self._length
            self._suspended = False
            self._renew_at = 0.0
            self.due = time.monotonic()


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
