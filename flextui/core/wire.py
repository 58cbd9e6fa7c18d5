"""JSON lines between a client and a core, version 1.

First each side says hello; a core that speaks no common version, or serves another inventory than
the client asked for, refuses by name. Then the client sends requests with an id of its choice:

    {"t":"call","id":1,"name":"Stop","args":{"jobs":["j7"]}}    → result | error
    {"t":"open","id":2,"stream":"watch"|"logs"|"events"|"shell","args":{…}}
                                                                → item…, then end | error
    {"t":"more","id":2,"n":16}                                  n more items may be sent
    {"t":"cancel","id":2}
    {"t":"input","id":2,"value":{…}}            for a stream "shell": what its program is told

A stream sends at most `WINDOW` items ahead of what the client has taken, so a reader that is slow
on one stream holds up neither the others nor the core. Unknown fields are ignored.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from flextui.core import commands
from flextui.core.client import CoreInfo
from flextui.core.commands import Command, CommandError, LogRequest, Offset, ShellRequest

VERSION = 1
OLDEST = 1
WINDOW = 64
MAX_REQUEST = 8 * 2**20
"""Bytes of one line from a client: the largest submit."""
MAX_INT = 2**31 - 1
MAX_OFFSET = 2**53
MAX_WHY = 1000
MAX_LIST = 100_000
"""Members of one list of a request: what is longer would hold up the core while it is read."""
MAX_REPLY = 256 * 2**20

Message = dict[str, Any]

_COMMANDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Command)}


class WireError(Exception):
    """The other side said something that can't be understood."""


# ── lines ──────────────────────────────────────────────────────────────────────────────────────


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as a line."""
    return (
        json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        + b"\n"
    )


def decode(line: bytes) -> Message:
    """One line as a message. Raises `WireError`."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"expected a line of JSON: {error}") from error
    if not isinstance(message, dict) or not isinstance(message.get("t"), str):
        raise WireError('expected a JSON object with a field "t"')
    return message


# ── commands ───────────────────────────────────────────────────────────────────────────────────


def command_message(command: Command) -> Message:
    """The fields of a call that carry a command."""
    return {"name": type(command).__name__, "args": dataclasses.asdict(command)}


def command_of(message: Mapping[str, Any]) -> Command:
    """The command of a call. Raises `WireError`."""
    name = message.get("name")
    kind = _COMMANDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise WireError(f"there is no command {name!r:.60}")
    command: Command = record_of(kind, message.get("args"))
    return command


def log_request_of(args: object) -> LogRequest:
    """The request of a log stream. Raises `WireError`."""
    request: LogRequest = record_of(LogRequest, args)
    return request


def shell_request_of(args: object) -> ShellRequest:
    """The request of a shell stream. Raises `WireError`."""
    request: ShellRequest = record_of(ShellRequest, args)
    return request


def after_of(args: Mapping[str, Any]) -> int | None:
    """The event after which a stream of them begins. Raises `WireError`."""
    after: int | None = _value(Offset | None, args.get("after"), "after")
    return after


def record_of(kind: type, args: object) -> Any:
    """A frozen record from JSON, each field checked against its type. Raises `WireError`."""
    if not isinstance(args, dict):
        raise WireError(f"{kind.__name__}: expected its arguments as an object")
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in args:
            values[field.name] = _value(hints[field.name], args[field.name], field.name)
        elif field.default is dataclasses.MISSING:
            raise WireError(f"{kind.__name__}: {field.name} is missing")
    return kind(**values)


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind, vars(commands))
    return _HINTS[kind]


def _value(hint: Any, value: object, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise WireError(f"{name}: expected a list")
        if len(value) > MAX_LIST:
            raise WireError(f"{name}: expected at most {MAX_LIST} of them")
        (inner, _) = typing.get_args(hint)
        return tuple(_value(inner, item, name) for item in value)
    if origin is types.UnionType:
        if value is None:
            return None
        (inner,) = (arg for arg in typing.get_args(hint) if arg is not type(None))
        return _value(inner, value, name)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return record_of(hint, value)
    if hint is Offset:
        if type(value) is not int or not 0 <= value <= MAX_OFFSET:
            raise WireError(f"{name}: expected a number from 0 to {MAX_OFFSET}")
        return Offset(value)
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise WireError(f"{name}: expected {hint.__name__}")
    if type(value) is str:
        _check_text(value, name)
    if type(value) is int and not -MAX_INT <= value <= MAX_INT:
        raise WireError(f"{name}: expected a number of at most {MAX_INT}")
    return value


def _check_text(value: str, name: str) -> None:
    """JSON can carry halves of characters, which nothing can store. Raises `WireError`."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{name}: expected text in UTF-8 ({error.reason})") from error
    if name == "why" and len(value) > MAX_WHY:
        raise WireError(f"why: expected at most {MAX_WHY} characters")


# ── errors and info ────────────────────────────────────────────────────────────────────────────


def error_message(error: CommandError) -> Message:
    """The fields that carry a CommandError."""
    return {
        "t": "error",
        "code": error.code,
        "text": error.text,
        "candidates": list(error.candidates),
        "problems": list(error.problems),
    }


def error_of(message: Mapping[str, Any]) -> CommandError:
    """The CommandError of an error message."""
    code = message.get("code")
    return CommandError(
        code if code in ("input", "permission", "failed", "unreachable") else "failed",
        str(message.get("text", "")),
        candidates=tuple(map(str, message.get("candidates") or ())),
        problems=tuple(message.get("problems") or ()),
    )


def client_hello(version: str, inventory: str | None, digest: str | None) -> Message:
    """`inventory` is the path that the caller insists on, None for whichever the core serves."""
    return {
        "t": "hello",
        "wire": [OLDEST, VERSION],
        "version": version,
        "inventory": inventory,
        "digest": digest,
    }


def core_hello(info: CoreInfo) -> Message:
    return {"t": "hello", "wire": VERSION, "info": dataclasses.asdict(info)}


def refusal(hello: Mapping[str, Any], info: CoreInfo, inventory_digest: str) -> str:
    """Why a core can't serve the client that said this hello, or ""."""
    match hello.get("wire"):
        case [int(oldest), int(newest)]:
            speaks, fits = f"{oldest} to {newest}", oldest <= VERSION <= newest
        case other:
            speaks, fits = f"{other!s:.20}", False
    if not fits:
        return (
            f"this is flextui {hello.get('version')!s:.40} (wire {speaks}) and the core {info.core}"
            f" is flextui {info.version} (wire {OLDEST} to {VERSION}): install the same version on "
            f"both, or end that core with `kill {info.pid}` there; what runs goes on"
        )
    wanted = hello.get("inventory")
    same = wanted == info.inventory or hello.get("digest") == inventory_digest
    if isinstance(wanted, str) and not same:
        serves = info.inventory or "this machine alone, without an inventory"
        return (
            f"the running core serves {serves}, not {wanted:.300}: "
            "leave -i out, use another --state-dir, or end that core with `flextui shutdown`"
        )
    return ""


def info_of(message: Mapping[str, Any]) -> CoreInfo:
    """What a core's hello says of it. Raises `WireError`."""
    if message.get("t") != "hello" or not isinstance(message.get("info"), dict):
        raise WireError("expected a flextui core's hello")
    known = {field.name for field in dataclasses.fields(CoreInfo)}
    values = {name: value for name, value in message["info"].items() if name in known}
    try:
        return CoreInfo(**values)
    except TypeError as error:
        raise WireError(f"the core's hello is incomplete: {error}") from error
