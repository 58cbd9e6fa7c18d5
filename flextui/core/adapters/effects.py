"""Effects as messages to an agent, and its answers as events. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeGuard

from flextui.core.adapters import decode
from flextui.core.events import AttemptReported, AttemptUnknown, NodeEvent, StartRefused
from flextui.core.ports import (
    AbandonAttempt,
    AckAttempts,
    Effect,
    GrantLease,
    LogAsk,
    SearchRequest,
    SpotsRequest,
    StartAttempt,
    StopAttempt,
)

Message = dict[str, Any]


def request(effect: Effect, epoch: int) -> Message:
    """The message that carries an effect out, without its id."""
    match effect:
        case StartAttempt():
            return _start(effect, epoch)
        case StopAttempt():
            return {
                "t": "stop",
                "attempt": effect.attempt,
                "grace_s": effect.grace_s,
                "why": effect.why,
                "nonce": effect.nonce,
            }
        case AbandonAttempt():
            return {"t": "abandon", "attempt": effect.attempt, "nonce": effect.nonce}
        case AckAttempts():
            return {"t": "ack", "attempts": list(effect.attempts)}
        case GrantLease():
            return {"t": "grant", "attempt": effect.attempt, "seq": effect.seq}


def _start(effect: StartAttempt, epoch: int) -> Message:
    return {
        "t": "start",
        "attempt": effect.attempt,
        "nonce": effect.nonce,
        "boot": effect.boot,
        "epoch": epoch,
        "job": effect.job,
        "task": effect.task,
        "argv": list(effect.argv),
        "env": dict(effect.env),
        "workdir": effect.workdir,
        "time_limit_s": effect.time_limit_s,
        "grace_s": effect.grace_s,
        "memory_bytes": effect.memory_bytes,
        "lease_s": effect.lease_s,
        "devices": [{"uuid": uuid, "amount": amount} for uuid, amount in effect.devices],
        "cpu_set": list(effect.cpu_set),
    }


def answered(effect: Effect) -> TypeGuard[StartAttempt | StopAttempt | AbandonAttempt]:
    """Whether the agent answers this one."""
    return isinstance(effect, StartAttempt | StopAttempt | AbandonAttempt)


def event(node: str, effect: Effect, answer: Message) -> NodeEvent | None:
    """What an answer says, None where it says nothing new. Raises ValueError for nonsense."""
    ok = answer.get("t") == "ok"
    if not ok and answer.get("code") == "taken" and answered(effect):
        return StartRefused(node, effect.attempt, *decode.complaint(answer))
    if isinstance(effect, StopAttempt) and not ok:
        unknown = answer.get("code") == "unknown_attempt"
        return AttemptUnknown(node, effect.attempt) if unknown else None
    if ok:
        reported = decode.record(answer.get("record"))
        if reported is None and isinstance(effect, StopAttempt):
            return None  # it hasn't ended yet: its end comes as a push
        if reported is None:
            raise ValueError(f"{answer!r:.200}")
        return AttemptReported(node, reported)
    if isinstance(effect, StartAttempt):
        code, text = decode.complaint(answer)
        device = decode.text_of(answer, "device")
        holder = decode.text_of(answer, "by")
        if code == "claimed" and holder and holder not in text:
            text = f"device {device} is claimed by {holder}"
        return StartRefused(node, effect.attempt, code, text, device)
    return None


def tail(request: LogAsk, sub: int, credit: int, skew_ms: float = 0.0) -> Message:
    """The message that subscribes to logs. `skew_ms`: how much the node's clock is ahead."""
    common: Message = {"sub": sub, "credit": credit}
    match request:
        case SpotsRequest(attempt, stream, spots, moments, context):
            found = {"attempt": attempt, "stream": stream, "spots": list(spots)}
            there = [it + skew_ms for it in moments]
            return {"t": "spots", **common, **found, "times": there, "context": context}
        case SearchRequest():
            return {"t": "search", **common, **dataclasses.asdict(request)}
    since = request.since_ms
    return {
        "t": "tail",
        **common,
        "attempt": request.attempt,
        "streams": list(request.streams),
        "from": dict(request.start) if request.start is not None else None,
        "until": dict(request.until) if request.until is not None else None,
        "last_lines": request.last_lines,
        "since_at": None if since is None else since + skew_ms,
        "limit": request.limit,
        "follow": request.follow,
    }
