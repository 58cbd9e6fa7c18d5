"""What each message of the core does. One small function a message; none of them waits."""

from __future__ import annotations

import os
import time

from . import attempt, root
from .claims import default_folder
from .light import signal
from .starts import Taken
from .tail import Tail
from .wire import Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Union

    from .attempt import Record
    from .session import Session
    from .shelf import Shelf
    from .wire import Message

    Reader = Union[Session, Shelf]

_ABANDON_AGAIN_S = 0.05
_ABANDON_TRIES = 100
_STALE = 0.8
_STALE_TEXT = "the start came after a silence of most of its lease: it may be replaced by now"
_START_FIELDS = (
    "attempt", "boot", "epoch", "job", "task", "argv", "env", "workdir", "time_limit_s", "grace_s",
    "memory_bytes", "log_bytes", "lease_s", "devices", "labels",
    "cpu_set",
)  # fmt: skip


def _attempt(message: Message) -> str:
    name = message.get("attempt")
    if not attempt.valid_name(name):
        raise Wrong("unknown_attempt", "%r is no attempt's id" % (name,))
    return str(name)


def _nonce(message: Message) -> str:
    return str(message.get("nonce") or "")


def _own(record: Record, message: Message) -> Record:
    """The record, if it is of the attempt that the message means. Raises Taken."""
    if not attempt.is_of(record, _nonce(message)):
        raise Taken(record["attempt"])
    return dict(record, nonce=_nonce(message))


def _as_driver(session: Session) -> None:
    if not session.home.driver.granted:
        owner = (session.home.driver.record or {}).get("owner", "?")
        raise Wrong("not_driver", "this node is driven by %s" % owner)


def start(session: Session, message: Message) -> None:
    """Begin an attempt, or tell what became of it."""
    _as_driver(session)
    name = _attempt(message)
    home = session.home
    known = session.registry.get(name)
    if known is not None:
        session.answer(message["id"], {"t": "ok", "record": _own(known, message)})
        return
    if message.get("boot") != home.boot:
        raise Wrong("boot_mismatch", "the node was started anew: its boot is %s" % home.boot)
    if message.get("epoch") != home.epoch:
        raise Wrong("epoch", "this session's epoch is %d" % home.epoch)
    if not home.there():
        raise Wrong("state_missing", "the state folder %s is hidden or gone" % home.path)
    if not message.get("argv"):
        raise Wrong("failed", "argv is empty")
    if session.channel.silence_s > _STALE * float(message.get("lease_s") or "inf"):
        _refuse_stale(session, message)
        return
    request: Dict[str, Any] = {key: message.get(key) for key in _START_FIELDS}
    request["nonce"] = _nonce(message)
    request["core_dir"] = home.path
    request["core_id"] = home.core_id
    request["user"] = session.facts["user"]
    request["claims_dir"] = default_folder(root.machine())
    request["limit"] = session.facts["cgroup"] if message.get("memory_bytes") else None
    request["lease_age_s"] = session.channel.silence_s
    session.starts.begin(message["id"], request)


def _refuse_stale(session: Session, message: Message, tries: int = _ABANDON_TRIES) -> None:
    """A start that may be as old as its lease: the core may have replaced the attempt by now."""
    name, nonce = _attempt(message), _nonce(message)
    record = None
    if not session.starts.pending(name, nonce):
        record = session.registry.abandon(name, nonce, "stale", _STALE_TEXT)
    if record is None and tries:
        session.later(_ABANDON_AGAIN_S, _refuse_stale, message, tries - 1)
    elif record is not None and _own(record, message)["state"] != "never":
        session.answer(message["id"], {"t": "ok", "record": record})
    else:
        raise Wrong("stale", _STALE_TEXT)


def stop(session: Session, message: Message) -> None:
    """End an attempt; an end that is still to come is told as a push."""
    _as_driver(session)
    name = _attempt(message)
    text = str(message.get("why") or "")[:200]
    order = {"grace_s": float(message.get("grace_s") or 0), "text": text}
    answer: Message = {"t": "ok"}
    if session.starts.pending(name, _nonce(message)):
        session.starts.stop(name, order)
    else:
        known = session.registry.get(name)
        if known is None:
            raise Wrong("unknown_attempt", "no attempt %s is here" % name)
        record = _own(known, message)
        if record["state"] == "running":
            session.tell_supervisor(name, {"stop": order})
        else:
            answer["record"] = record
    session.answer(message["id"], answer)


def abandon(session: Session, message: Message, tries: int = _ABANDON_TRIES) -> None:
    """Make sure that an attempt never runs, or tell that it does."""
    _as_driver(session)
    name = _attempt(message)
    nonce = _nonce(message)
    pending = session.starts.pending(name, nonce)
    record = None if pending else session.registry.abandon(name, nonce)
    if record is not None:
        session.answer(message["id"], {"t": "ok", "record": _own(record, message)})
    elif tries == 0:
        raise Wrong("failed", "the attempt is neither started nor given up by its supervisor")
    else:
        session.later(_ABANDON_AGAIN_S, abandon, message, tries - 1)


def tail(session: Reader, message: Message) -> None:
    """Begin to send a log."""
    name = _attempt(message)
    try:
        folder = attempt.find(session.home.core_fd, name)
    except FileNotFoundError:
        raise Wrong("unknown_attempt", "no attempt %s is here" % name) from None
    subscription = Tail(folder, message)
    session.tails.add(subscription)
    session.answer(message["id"], {"t": "ok", "now_at": time.time(), **subscription.extent})


def search(session: Reader, message: Message) -> None:
    """Begin to look for lines in logs, in a child."""
    from .searches import Search

    core_fd, wake = session.home.core_fd, session.channel.flush
    session.tails.add(Search(core_fd, message, session.loop, wake))
    session.answer(message["id"], {"t": "ok", "now_at": time.time()})


def spots(session: Reader, message: Message) -> None:
    """Begin to send lines at given positions, each with those around it."""
    from .searches import Spots

    name = _attempt(message)
    try:
        folder = attempt.find(session.home.core_fd, name)
    except FileNotFoundError:
        raise Wrong("unknown_attempt", "no attempt %s is here" % name) from None
    session.tails.add(Spots(folder, message))
    session.answer(message["id"], {"t": "ok", "now_at": time.time()})


def untail(session: Reader, message: Message) -> None:
    """End a log."""
    session.tails.remove(message.get("sub"))


def credit(session: Reader, message: Message) -> None:
    """Let a log send more."""
    session.tails.credit(message.get("sub"), int(message.get("bytes") or 0))


def ack(session: Session, message: Message) -> None:
    """Forget ends that the core has on its own disk."""
    session.registry.acknowledge([name for name in message["attempts"] if attempt.valid_name(name)])


def grant(session: Session, message: Message) -> None:
    """Hand a lease's renewal to the supervisor that asked."""
    if session.home.driver.granted:
        session.tell_supervisor(_attempt(message), {"grant": message["seq"]})


def bye(session: Session, message: Message) -> None:
    """The core leaves on purpose."""
    if session.home.driver.granted:
        if message.get("suspend_leases"):
            session.tell_all({"suspend": True})
        if message.get("release"):
            session.home.driver.release(session.registry.empty() and not len(session.starts))
    session.channel.end()


def ping(session: Reader, message: Message) -> None:
    """Say that somebody is there."""
    session.answer(message["id"], {"t": "ok"})


def check(session: Session, message: Message) -> None:
    """Look the node over in a child: a check may wait for what hangs."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _check_in_child(writing, session.home.root.path, session.last_sample())
    os.close(writing)
    os.set_blocking(reading, False)
    found = bytearray()

    def collect() -> None:
        try:
            data = os.read(reading, 65536)
        except BlockingIOError:
            return
        found.extend(data)
        if not data:
            session.loop.forget(reading)
            os.close(reading)
            os.waitpid(pid, 0)
            session.answer(message["id"], _checked(bytes(found)))

    session.loop.reader(reading, collect)


def _checked(found: bytes) -> Message:
    from . import fastjson

    if not found:
        return {"t": "error", "code": "failed", "text": "the check ended before it was done"}
    return {"t": "ok", "now_at": time.time(), "checks": fastjson.loads(found.decode())}


def _check_in_child(writing: int, path: str, sample: Message) -> None:
    from . import fastjson
    from .spawner import close_all_but

    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        close_all_but(writing)
        from .checks import run_checks

        data = fastjson.dumps(run_checks(path, sample)).encode("utf-8", "replace")
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


READING: Dict[str, Callable[[Reader, Message], None]] = {
    "tail": tail,
    "search": search,
    "spots": spots,
    "untail": untail,
    "credit": credit,
    "ping": ping,
}
"""Those that only read logs."""

HANDLERS: Dict[str, Callable[[Session, Message], None]] = {
    **READING,
    "start": start,
    "stop": stop,
    "abandon": abandon,
    "ack": ack,
    "grant": grant,
    "bye": bye,
    "check": check,
}
"""The messages that a session understands after hello."""
