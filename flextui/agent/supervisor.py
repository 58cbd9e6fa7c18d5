"""The small process that owns one attempt and outlives everything else.

It keeps the workload's output, its limits and its lease, reaps the whole tree (it is a subreaper,
so nothing that descends from the workload can leave it) and writes how it ended. The truth is
waitpid's, is on disk before anyone hears of it, and never waits for output that a forgotten
process might hold open.
"""

from __future__ import annotations

import os
import select
import time

from . import attempt, fastjson, logs, memory, procs, records, start
from .lease import Lease
from .light import signal
from .teller import Teller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

END_S = 2.0
"""Longest time that an end waits for output and for processes that were left behind."""

STRAGGLE_S = 0.5
"""Processes that outlive the main one may end by themselves for this long (`cmd | tee log`)."""

_AGAIN_S = 0.05
_buffer = memoryview(bytearray(32 << 10))  # made before the fork: it costs a supervisor nothing


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


class Supervisor:
    """The life of an attempt after its start."""

    def __init__(self, request: start.Request, life: start.Life, teller: Teller) -> None:
        self._life = life
        self._teller = teller
        self._grace = float(request.get("grace_s") or 0.0)
        self._logs = logs.Logs(life.folder, int(request.get("log_bytes") or logs.BOUND))
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
        self._reap()  # a main process that ended before signals wake the loop does so unheard
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
            found = procs.marked([(core, name)])[core, name]
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
        if self._childless:
            self._life.claims.release()  # before it is told: the next may want them at once
        self._teller.state(self._life.identity, ending)

    def _outlast(self) -> None:
        """Stay with processes that could not be killed yet: they still hold their devices."""
        while not self._childless:
            procs.send(procs.descendants(os.getpid()), signal.SIGKILL)
            time.sleep(1.0)
            self._reap()
