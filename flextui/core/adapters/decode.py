"""Agents' JSON made into the core's own records, whatever a sick agent may send.

A node is another machine with another version of the software, perhaps a broken one: what it
says is checked here, once. Missing and unknown fields are fine, wrong ones become None or a
default, text loses what could drive a terminal, lists are cut at a bound. Nothing here raises.
Two hundred nodes with eight GPUs pass through each second, so the common case is kept short.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from flextui.core.adapters import devices, values
from flextui.core.adapters.devices import GPUS_BOUND
from flextui.core.events import (
    AttemptReported,
    Exit,
    LeaseAsked,
    NodeEvent,
    PlacesSeen,
    Record,
    Sampled,
    XidSeen,
)
from flextui.core.model.docs import LogEvent
from flextui.core.model.state import Facts, Sample, Use

ATTEMPTS_BOUND = 100_000
HITS_BOUND = 4096
RECORD_STATES = frozenset({"starting", "running", "ended", "lost", "never"})

Message = values.Message


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
    started_ago = values.duration(message.get("started_ago_s"))
    return Record(
        attempt=attempt,
        state=state,
        job=values.text(message.get("job")),
        pid=values.integer(message.get("pid")),
        started_ago_s=started_ago,
        exit=_exit(message.get("exit"), started_ago),
        devices=tuple(map(values.text, values.listing(message.get("devices"), GPUS_BOUND))),
        limit=values.text(message.get("limit")),
        log_bytes={
            values.text(k): values.size(v)
            for k, v in values.mapping(message.get("log")).items()
            if k in ("out", "err")
        },
        nonce=values.text(message.get("nonce"), 64),
    )  # fmt: skip


def _exit(message: object, started_ago: float | None) -> Exit | None:
    if not isinstance(message, dict):
        return None
    ran = values.duration(message.get("ran_s"))
    ended_ago = None if ran is None or started_ago is None else max(started_ago - ran, 0.0)
    return Exit(
        code=values.within(message.get("code"), 0, 255),
        signal=values.within(message.get("signal"), 1, 64),
        why=values.text(message.get("why"), 64) or "exit",
        text=values.text(message.get("text"), 8 * values.TEXT_BOUND),
        ended_ago_s=ended_ago,
        ran_s=ran,
        last_lines=values.lines(message.get("last")),
    )


def listed(hello: Message) -> tuple[list[Any], int]:
    """The records in a hello, and how many more the agent says will follow it."""
    return values.listing(hello.get("attempts"), ATTEMPTS_BOUND), values.size(hello.get("more"))


def records(hello: Message) -> tuple[Record, ...]:
    """Everything that lies in this core's folder on the node."""
    found = (record(entry) for entry in values.listing(hello.get("attempts"), ATTEMPTS_BOUND))
    return tuple(entry for entry in found if entry is not None)


# ── the node ───────────────────────────────────────────────────────────────────────────────────


def facts(hello: Message, wall: float) -> Facts | None:
    """What a node says of itself at hello, which came at `wall` (Unix seconds); None without the
    names that make it a node."""
    host, root = values.mapping(hello.get("host")), values.mapping(hello.get("root"))
    host_id, boot = values.text(hello.get("host_id")), values.text(hello.get("boot"))
    path, root_id = values.text(root.get("path"), 4096), values.text(root.get("id"))
    if not (host_id and boot and path and root_id):
        return None
    driver = host.get("driver_version")
    clock = values.number(hello.get("clock"))
    return Facts(
        host_id=host_id,
        boot=boot,
        root_path=path,
        root_id=root_id,
        hostname=values.text(host.get("hostname")),
        user=values.text(host.get("user")),
        uid=values.size(host.get("uid")),
        cpus=max(values.number(host.get("cpus")) or 0.0, 0.0),
        memory_bytes=values.size(host.get("memory_bytes")),
        python=values.text(host.get("python")),
        kernel=values.text(host.get("kernel")),
        os=values.text(host.get("os")),
        driver_version=values.text(driver) or None,
        cgroup=values.text(host.get("cgroup")) or "soft",
        linger=values.boolean(host.get("linger")),
        kill_user_processes=values.boolean(host.get("kill_user_processes")),
        agent=values.text(hello.get("agent")),
        clock_ahead_s=None if clock is None else clock - wall,
    )


def driver(hello: Message) -> str:
    """user@host of the core that drives the node, as the hello tells it."""
    return values.text(values.mapping(hello.get("driver")).get("owner"))


def sampled(node: str, message: Message) -> Sampled:
    """One telemetry sample with its GPUs."""
    get = message.get
    load = tuple(values.number(value) or 0.0 for value in values.listing(get("load"), 3))
    attempts = {
        values.text(name, 256): Use(
            values.number(use.get("cpu")),
            values.integer(use.get("memory_bytes")),
            values.duration(use.get("active_ago_s")),
        )
        for name, use in values.mapping(get("attempts")).items()
        if isinstance(use, dict)
    }
    sample = Sample(
        cpu=values.number(get("cpu")),
        load=load,
        memory_bytes=values.size(get("memory_bytes")),
        memory_used_bytes=values.size(get("memory_used_bytes")),
        disk_bytes=values.size(get("disk_bytes")),
        disk_free_bytes=values.size(get("disk_free_bytes")),
        uptime_s=values.number(get("uptime_s")) or 0.0,
        nvml=values.text(get("nvml")),
        attempts=attempts,
    )
    return Sampled(node, sample, devices.gpus(get("gpus")))


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
        uuid, xid = values.text(message.get("uuid"), 128), values.integer(message.get("xid"))
        if uuid and xid is not None:
            mig = values.text(message.get("mig"), 128)
            return XidSeen(node, uuid, xid, values.text(message.get("text")), mig)
    if kind == "places":
        return PlacesSeen(node, devices.places(message.get("places")))
    if kind == "renew":
        attempt, seq = values.text(message.get("attempt"), 256), values.integer(message.get("seq"))
        if attempt and seq is not None:
            return LeaseAsked(node, attempt, seq)
    return None


def complaint(message: Message) -> tuple[str, str]:
    """(code, text) of an `error` or a `refused`."""
    code = values.text(message.get("code"), 64) or "error"
    return code, values.text(message.get("text"), 4 * values.TEXT_BOUND) or code


def text_of(message: Message, field: str) -> str:
    """A text field of a message, clean and bounded; empty if it isn't there."""
    return values.text(message.get(field))


# ── logs ───────────────────────────────────────────────────────────────────────────────────────


def log_event(node: str, attempt: str, message: Message) -> LogEvent | None:
    """A log push; its text stays as the workload wrote it."""
    kind = message.get("t")
    stream = message.get("stream")
    stream = stream if stream in ("out", "err") else ""
    event = LogEvent(kind="eof", attempt=attempt, node=node, stream=stream, at=0, to=0, text="")
    if kind == "eof":
        return _told(event, message)
    if kind == "notice":
        event["kind"], event["text"] = "notice", values.text(message.get("text"), 1024)
        return event
    if not stream:
        return None
    if kind == "hits":
        return _hits(event, message)
    if kind == "gap":
        event["kind"] = "gap"
        event["at"], event["to"] = values.size(message.get("from")), values.size(message.get("to"))
        return event
    data = _log_bytes(event, message)
    if data is None:
        return None
    event["kind"] = "data"
    event["at"] = values.size(message.get("at"))
    event["to"] = event["at"] + len(data)
    marks = values.listing(message.get("marks"), 4096)
    if marks:
        event["marks"] = [pair for mark in marks if (pair := _mark(mark)) is not None]
    return event


def _told(event: LogEvent, message: Message) -> LogEvent:
    """The end of a tail, and what it told."""
    told = values.mapping(message.get("told"))
    spans = {name: values.listing(told.get(name), 2) for name in ("out", "err") if name in told}
    if spans:
        event["told"] = {
            name: [values.size(it) for it in span]
            for name, span in spans.items() if len(span) == 2
        }  # fmt: skip
    return event


def _hits(event: LogEvent, message: Message) -> LogEvent:
    """What a search found in a stream."""
    event["kind"] = "hits"
    event["attempt"] = values.text(message.get("attempt"))
    found = values.listing(message.get("hits"), HITS_BOUND)
    event["hits"] = [pair for hit in found if (pair := _mark(hit)) is not None]
    event["count"] = values.size(message.get("count"))
    event["whole"] = message.get("whole") is True
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
    offset, at = values.number(mark[0]), values.number(mark[1])
    if offset is None or at is None or offset < 0 or values.moment(at / 1000) is None:
        return None
    return [offset, at]
