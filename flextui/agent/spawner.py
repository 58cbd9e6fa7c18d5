"""The process that forks supervisors, kept so simple that forking stays safe and quick.

It is forked from the agent before NVML or a thread could exist, loads everything a supervisor will
ever need, and then only reads lines and forks: no second Python starts, and no lock of another
thread can be inherited held. It ends with the agent; supervisors don't.
"""

from __future__ import annotations

import gc
import os
import select
import time

from .light import AF_UNIX, SOCK_STREAM, Socket, signal, socketpair
from .wire import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, NoReturn, Optional, Tuple

    from .loop import Loop

    Run = Callable[[bytes], None]
    Failed = Callable[[bytes, OSError], None]

LIMIT = 4 << 20
"""Longest request for a start, in bytes."""

IDLE_S = 5.0
"""Two hundred agents may start at once: what can wait until the first start waits."""

_SHORT_LIFE_S = 1.0
_PAUSE_S = (0.05, 1.0)


class Spawner:
    """The agent's side: a process that is there to be asked, and forked again when it died."""

    def __init__(self) -> None:
        self._socket, self._pid = _fork()
        self._born = time.monotonic()
        self._pause = _PAUSE_S[0]
        self._unsent = bytearray()
        self._loop: Optional[Loop] = None
        self._replaced: Callable[[], None] = lambda: None

    def attach(self, loop: Loop, replaced: Callable[[], None]) -> None:
        """Serve from this loop; `replaced` is called when requests may have been dropped."""
        self._loop, self._replaced = loop, replaced
        loop.reader(self._socket.fileno(), self._on_readable)

    def start(self, request: bytes) -> None:
        """Ask for a supervisor by a line."""
        self._unsent += request
        self._send()

    def close(self) -> None:
        """Let the process end."""
        self._socket.close()

    def _send(self) -> None:
        assert self._loop is not None
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            self._loop.writer(self._socket.fileno(), self._send)
        except OSError:
            self._unsent.clear()  # it is gone, as will be seen at once
        else:
            self._loop.no_writer(self._socket.fileno())

    def _on_readable(self) -> None:
        """It never says a word: this is its end."""
        assert self._loop is not None
        try:
            if self._socket.recv(1):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        os.waitpid(self._pid, 0)
        self._unsent.clear()
        if time.monotonic() - self._born >= _SHORT_LIFE_S:
            self._pause = _PAUSE_S[0]
        self._loop.after(self._pause, self._again)
        self._pause = min(_PAUSE_S[1], 2 * self._pause)

    def _again(self) -> None:
        """Fork another; one that can't live is not forked in a rush."""
        assert self._loop is not None
        self._socket, self._pid = _fork()
        self._born = time.monotonic()
        self._loop.reader(self._socket.fileno(), self._on_readable)
        self._replaced()


def _fork() -> Tuple[Socket, int]:
    ours, its = socketpair(AF_UNIX, SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        try:
            _serve(its)
        finally:
            os._exit(70)
    its.close()
    ours.setblocking(False)
    return ours, pid


def _serve(requests: Socket) -> NoReturn:
    """In the spawner: shed what belongs to the agent, load everything, fork on request."""
    os.setsid()
    os.chdir("/")
    _default_signals()
    close_all_but(requests.fileno())
    from . import rehearsal, supervisor  # descriptors made here are meant to be inherited

    _wait(requests, IDLE_S)
    rehearsal.rehearse()
    _default_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps supervisors
    gc.collect()
    gc.disable()
    gc.freeze()
    lines = Lines(LIMIT)
    while True:
        data = requests.recv(65536)
        if not data:
            os._exit(0)
        for line in lines.feed(data):
            _spawn(requests, line, supervisor.main, supervisor.no_process)


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _wait(requests: Socket, seconds: float) -> None:
    """Leave the processor to those who greet the core, until there is something to do."""
    poll = select.poll()
    poll.register(requests.fileno(), select.POLLIN)
    poll.poll(int(seconds * 1000))


def _spawn(requests: Socket, line: bytes, run: Run, failed: Failed) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        failed(line, error)
        return
    if pid == 0:
        try:
            requests.close()
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run(line)
        finally:
            os._exit(0)


def close_all_but(*keep: int) -> None:
    """Close every descriptor but these, and put /dev/null at 0, 1 and 2."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    listed = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(listed):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                pass  # the descriptor of the listing itself
