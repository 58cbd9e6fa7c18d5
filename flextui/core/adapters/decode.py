"""Agents' JSON made into the core's own records, whatever a sick agent may send.

A node is another machine with another version of the software, perhaps a broken one: what it
says is checked here, once. Missing and unknown fields are fine, wrong ones become None or a
default, text loses what could drive a terminal, lists are cut at a bound. Nothing here raises.
Two hundred nodes with eight GPUs pass through each second, so the common case is kept short.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from math import isfinite
from typing import Any

from flextui.core.events import (
    AttemptReported,
    Exit,
    LeaseAsked,
    NodeEvent,
    Record,
    Sampled,
    XidSeen,
)
from flextui.core.model.docs import LogEvent
from flextui.core.model.state import Facts, Gpu, GpuProcess, Sample
from flextui.core.model.terminal import neutralise

TEXT_BOUND = 1024
LINES_BOUND = 20
GPUS_BOUND = 256
PROCESSES_BOUND = 512
ATTEMPTS_BOUND = 100_000
INT_BOUND = 1 << 63
DURATION_BOUND = 1e9
RECORD_STATES = frozenset({"starting", "running", "ended", "lost", "never"})
_NO_PROCESSES: tuple[GpuProcess, ...] = ()

Message = Mapping[str, Any]


def _text(value: object, bound: int = TEXT_BOUND) -> str:
    if type(value) is not str:
        return ""
    if len(value) > bound:
        value = value[:bound]
    if value.isprintable():
        return value
    plain = neutralise(value, colours=False).replace("\n", " ").replace("\t", " ")
    return plain.encode("utf-8", "replace").decode()  # lone surrogates can't be printed


def _lines(value: object) -> str:
    lines = value.split("\n", LINES_BOUND)[:LINES_BOUND] if type(value) is str else []
    return "\n".join(_text(line) for line in lines)


def _int(value: object) -> int | None:
    if type(value) is int:
        return value if -INT_BOUND < value < INT_BOUND else None
    if type(value) is float and isfinite(value) and abs(value) < INT_BOUND:
        return int(value)
    return None


def _float(value: object) -> float | None:
    if type(value) is float:
        return value if isfinite(value) else None
    if type(value) is int and -INT_BOUND < value < INT_BOUND:
        return float(value)
    return None


def _size(value: object) -> int:
    found = _int(value)
    return found if found is not None and found > 0 else 0


def _within(value: object, low: int, high: int) -> int | None:
    found = _int(value)
    return found if found is not None and low <= found <= high else None


def _duration(value: object) -> float | None:
    """Seconds that lie in a lifetime: from those outside no date can be made."""
    found = _float(value)
    return found if found is not None and 0 <= found <= DURATION_BOUND else None


def _bool(value: object) -> bool | None:
    return value if type(value) is bool else None


def _list(value: object, bound: int) -> list[Any]:
    return value[:bound] if type(value) is list else []


def _dict(value: object) -> dict[str, Any]:
    return value if type(value) is dict else {}


# ── attempts ───────────────────────────────────────────────────────────────────────────────────


def record(message: object) -> Record | None:
    """A RECORD of the wire; None if it names no attempt or no known state."""
    if not isinstance(message, dict):
        return None
    attempt, state = message.get("attempt"), message.get("state")
    if type(attempt) is not str or not 0 < len(attempt) <= 256 or not attempt.isprintable():
        return None
    if not isinstance(state, str) or state not in RECORD_STATES:
        return None
    started_ago = _duration(message.get("started_ago_s"))
    return Record(
        attempt=attempt,
        state=state,
        job=_text(message.get("job")),
        pid=_int(message.get("pid")),
        started_ago_s=started_ago,
        exit=_exit(message.get("exit"), started_ago),
        devices=tuple(_text(d) for d in _list(message.get("devices"), GPUS_BOUND)),
        limit=_text(message.get("limit")),
        log_bytes={
            _text(k): _size(v)
            for k, v in _dict(message.get("log")).items()
            if k in ("out", "err")
        },
        nonce=_text(message.get("nonce"), 64),
    )  # fmt: skip


def _exit(message: object, started_ago: float | None) -> Exit | None:
    if not isinstance(message, dict):
        return None
    ran = _duration(message.get("ran_s"))
    ended_ago = None if ran is None or started_ago is None else max(started_ago - ran, 0.0)
    return Exit(
        code=_within(message.get("code"), 0, 255),
        signal=_within(message.get("signal"), 1, 64),
        why=_text(message.get("why"), 64) or "exit",
        text=_text(message.get("text"), 8 * TEXT_BOUND),
        ended_ago_s=ended_ago,
        ran_s=ran,
        last_lines=_lines(message.get("last")),
    )


def listed(hello: Message) -> tuple[list[Any], int]:
    """The records in a hello, and how many more the agent says will follow it."""
    return _list(hello.get("attempts"), ATTEMPTS_BOUND), _size(hello.get("more"))


def records(hello: Message) -> tuple[Record, ...]:
    """Everything that lies in this core's folder on the node."""
    found = (record(entry) for entry in _list(hello.get("attempts"), ATTEMPTS_BOUND))
    return tuple(entry for entry in found if entry is not None)


# ── the node ───────────────────────────────────────────────────────────────────────────────────


def facts(hello: Message) -> Facts | None:
    """What a node says of itself at hello; None without the names that make it a node."""
    host, root = _dict(hello.get("host")), _dict(hello.get("root"))
    host_id, boot = _text(hello.get("host_id")), _text(hello.get("boot"))
    path, root_id = _text(root.get("path"), 4096), _text(root.get("id"))
    if not (host_id and boot and path and root_id):
        return None
    driver = host.get("driver_version")
    return Facts(
        host_id=host_id,
        boot=boot,
        root_path=path,
        root_id=root_id,
        hostname=_text(host.get("hostname")),
        user=_text(host.get("user")),
        uid=_size(host.get("uid")),
        cpus=max(_float(host.get("cpus")) or 0.0, 0.0),
        memory_bytes=_size(host.get("memory_bytes")),
        python=_text(host.get("python")),
        kernel=_text(host.get("kernel")),
        os=_text(host.get("os")),
        driver_version=_text(driver) or None,
        cgroup=_text(host.get("cgroup")) or "soft",
        linger=_bool(host.get("linger")),
        kill_user_processes=_bool(host.get("kill_user_processes")),
        agent=_text(hello.get("agent")),
    )


def driver(hello: Message) -> str:
    """user@host of the core that drives the node, as the hello tells it."""
    return _text(_dict(hello.get("driver")).get("owner"))


def sampled(node: str, message: Message) -> Sampled:
    """One telemetry sample with its GPUs."""
    get = message.get
    load = tuple(_float(value) or 0.0 for value in _list(get("load"), 3))
    attempts = {
        _text(name, 256): (_float(use.get("cpu")), _int(use.get("memory_bytes")))
        for name, use in _dict(get("attempts")).items()
        if isinstance(use, dict)
    }
    sample = Sample(
        cpu=_float(get("cpu")),
        load=load,
        memory_bytes=_size(get("memory_bytes")),
        memory_used_bytes=_size(get("memory_used_bytes")),
        disk_bytes=_size(get("disk_bytes")),
        disk_free_bytes=_size(get("disk_free_bytes")),
        uptime_s=_float(get("uptime_s")) or 0.0,
        nvml=_text(get("nvml")),
        attempts=attempts,
    )
    gpus = (gpu(entry) for entry in _list(get("gpus"), GPUS_BOUND))
    return Sampled(node, sample, tuple(found for found in gpus if found is not None))


def gpu(message: object) -> Gpu | None:
    """One GPU; None if it has no UUID."""
    if type(message) is not dict:
        return None
    get = message.get
    uuid = _text(get("uuid"), 128)
    if not uuid:
        return None
    processes = get("processes")
    return Gpu(
        uuid,
        _size(get("index")),
        _text(get("model"), 128),
        _size(get("memory_bytes")),
        _int(get("memory_used_bytes")),
        _int(get("utilization")),
        _int(get("temperature_c")),
        _float(get("power_w")),
        _float(get("power_limit_w")),
        _int(get("ecc_uncorrected")),
        _int(get("recovery_action")),
        _text(get("state")) or "ok",
        _text(get("text")),
        _processes(processes) if processes else _NO_PROCESSES,
    )


def _processes(message: object) -> tuple[GpuProcess, ...]:
    found = []
    for entry in _list(message, PROCESSES_BOUND):
        if type(entry) is not dict:
            continue
        container = _dict(entry.get("container"))
        found.append(
            GpuProcess(
                pid=_size(entry.get("pid")),
                user=_text(entry.get("user"), 128),
                name=_text(entry.get("name"), 256),
                command=_text(entry.get("command")),
                memory_bytes=_int(entry.get("memory_bytes")),
                attempt=_text(entry.get("attempt"), 256) or None,
                container=_text(container.get("name") or container.get("id"), 256) or None,
                owner=_text(container.get("owner"), 128) or None,
            )
        )
    return tuple(found)


# ── pushes ─────────────────────────────────────────────────────────────────────────────────────


def push(node: str, message: Message) -> NodeEvent | None:
    """The event of a push; None for messages this version doesn't know or that say nothing."""
    kind = message.get("t")
    if kind == "sample":
        return sampled(node, message)
    if kind == "attempt":
        reported = record(message)
        return AttemptReported(node, reported) if reported is not None else None
    if kind == "xid":
        uuid, xid = _text(message.get("uuid"), 128), _int(message.get("xid"))
        if uuid and xid is not None:
            return XidSeen(node, uuid, xid, _text(message.get("text")))
    if kind == "renew":
        attempt, seq = _text(message.get("attempt"), 256), _int(message.get("seq"))
        if attempt and seq is not None:
            return LeaseAsked(node, attempt, seq)
    return None


def complaint(message: Message) -> tuple[str, str]:
    """(code, text) of an `error` or a `refused`."""
    code = _text(message.get("code"), 64) or "error"
    return code, _text(message.get("text"), 4 * TEXT_BOUND) or code


def text_of(message: Message, field: str) -> str:
    """A text field of a message, clean and bounded; empty if it isn't there."""
    return _text(message.get(field))


# ── logs ───────────────────────────────────────────────────────────────────────────────────────


def log_event(node: str, attempt: str, message: Message) -> LogEvent | None:
    """A log push; its text stays as the workload wrote it."""
    kind = message.get("t")
    stream = message.get("stream")
    stream = stream if stream in ("out", "err") else ""
    event = LogEvent(kind="eof", attempt=attempt, node=node, stream=stream, at=0, to=0, text="")
    if kind == "eof":
        return event
    if not stream:
        return None
    if kind == "gap":
        event["kind"] = "gap"
        event["at"], event["to"] = _size(message.get("from")), _size(message.get("to"))
        return event
    data = _log_bytes(event, message)
    if data is None:
        return None
    event["kind"] = "data"
    event["at"] = _size(message.get("at"))
    event["to"] = event["at"] + len(data)
    marks = _list(message.get("marks"), 4096)
    if marks:
        event["marks"] = [pair for mark in marks if (pair := _mark(mark)) is not None]
    return event


def _log_bytes(event: LogEvent, message: Message) -> bytes | None:
    """Fill in text (and b64); the raw bytes, or None where the message holds none."""
    text = message.get("text")
    if type(text) is str:
        data = text.encode("utf-8", "replace")
        event["text"] = text if len(data) == len(text) else data.decode()
        return data
    packed = message.get("b64")
    if type(packed) is not str:
        return None
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return None
    event["b64"] = packed
    event["text"] = data.decode("utf-8", "replace")
    return data


def _mark(mark: object) -> list[float] | None:
    if type(mark) is not list or len(mark) != 2:
        return None
    offset, at = _float(mark[0]), _float(mark[1])
    return None if offset is None or at is None else [offset, at]
