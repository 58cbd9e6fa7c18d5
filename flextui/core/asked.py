"""What a client asks of the core, read from its messages: each field is checked against its type.

Clients are people of any account and programs of any kind: nothing that they send is believed.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from flextui.core import commands
from flextui.core.commands import Command, LogRequest, Offset, ShellRequest
from flextui.core.wire import WireError

MAX_INT = 2**31 - 1
MAX_OFFSET = 2**53
MAX_WHY = 1000
MAX_LIST = 100_000
"""Members of one list of a request: what is longer would hold up the core while it is read."""

_COMMANDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Command)}


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
