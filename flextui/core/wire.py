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
on one stream holds up neither the others nor the core. Unknown fields are ignored. What a client
asks is read in `asked.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flextui.core.client import CoreInfo
from flextui.core.refusal import CommandError

if TYPE_CHECKING:  # slow to import: who sends one has it
    from flextui.core.commands import Command

VERSION = 1
OLDEST = 1
WINDOW = 64
MAX_REQUEST = 8 * 2**20
"""Bytes of one line from a client: the largest submit."""
MAX_REPLY = 256 * 2**20

Message = dict[str, Any]


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
