"""The boxes of an inventory: how each is reached, what it has and what of it is used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from flextui.core.model.fields import (
    Bytes,
    Frozen,
    Labels,
    Number,
    Text,
    Whole,
    matches,
)
from flextui.core.model.problems import BadValue, nearest, quote

_TRANSPORTS = ("ssh", "local")

Transport = Literal["ssh", "openssh", "local"]
NODE_NAME = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
NodeName = Annotated[Text, matches(NODE_NAME, "1 to 63 of a-z, 0-9, '.' and '-'")]
Host = Annotated[
    Text, matches(r"[A-Za-z0-9_:\[][A-Za-z0-9._:%\[\]-]{0,252}", "a host's name or address alone")
]
Account = Annotated[
    Text, matches(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,254}\$?", "the name of an account")
]
Port = Annotated[Whole, Field(ge=1, le=65_535)]
MAX_INDEX = 1023
Index = Annotated[Whole, Field(ge=0, le=MAX_INDEX)]
"""A GPU's number on its node."""
Program = Annotated[
    Text, matches(r"(~?/)?[A-Za-z0-9_.+/-]+", "a program's name or path, such as /usr/bin/python3")
]


class Defaults(Frozen):
    """For nodes that say nothing themselves and of which ~/.ssh/config says nothing either."""

    user: Account | None = None
    port: Port | None = None


class Reserve(Frozen):
    """What of a node is kept from jobs."""

    cpus: Number = Field(0.0, ge=0)
    memory: Bytes = 0


class DeclaredGpu(Frozen):
    """A GPU of a box without a driver to ask."""

    index: Index = Field(description="Its number on the node, from 0.")
    model: Text = Field(min_length=1, max_length=100, description="Its model, such as a100.")
    memory: Bytes = Field(gt=0, description="Its memory, such as 80GiB.")


def _share(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(
        type(it) is int and 0 <= it <= MAX_INDEX for it in value
    ):
        raise BadValue(expected="true, false or a list of indices such as [0, 1]")
    return tuple(value)


class GpuPolicy(Frozen):
    """Which GPUs of a node are used, and how. The default takes all that NVML reports."""

    share: Annotated[bool | tuple[int, ...], BeforeValidator(_share)] = False
    """Whether jobs may share a GPU: all of them, none, or those of these indices."""
    foreign_ignore: Bytes = 512 * 2**20
    """Bytes of foreign memory below which a GPU still counts as free."""
    only: tuple[Index, ...] | None = None
    """Indices to use; None: all."""
    declared: tuple[DeclaredGpu, ...] | None = None
    """GPUs as the inventory gives them; None: NVML is asked."""

    @field_validator("declared")
    @classmethod
    def _each_once(cls, value: tuple[DeclaredGpu, ...] | None) -> tuple[DeclaredGpu, ...] | None:
        seen: set[int] = set()
        for gpu in value or ():
            if gpu.index in seen:
                raise BadValue(f"index {gpu.index} is given twice", expected="each index once")
            seen.add(gpu.index)
        return value

    def shares(self, index: int) -> bool:
        """Whether jobs may share the GPU of that index."""
        return self.share if isinstance(self.share, bool) else index in self.share


def _gpus(value: Any) -> Any:
    """`auto`, settings, or a list of GPUs: all become settings."""
    if isinstance(value, list | tuple):
        return {"declared": value}
    if isinstance(value, Mapping | GpuPolicy):
        return value
    if value != "auto":
        like = nearest(value, ("auto",)) if isinstance(value, str) else ""
        raise BadValue(expected="auto, a mapping of settings or a list of GPUs", nearest=like)
    return {}


def _transport(value: Any) -> Any:
    if value not in _TRANSPORTS:
        what = "'openssh' is not supported yet" if value == "openssh" else ""
        like = nearest(value, _TRANSPORTS) if isinstance(value, str) and not what else ""
        raise BadValue(what, expected=f"one of {', '.join(_TRANSPORTS)}", nearest=like)
    return value


def _host(value: Any, info: ValidationInfo) -> Any:
    """A local node needs no host."""
    if value != "":
        return value
    if info.data.get("transport") == "local":
        return "localhost"
    raise BadValue("'host' is missing", expected="host: a name, an address or one of ~/.ssh/config")


def _name(value: Any, info: ValidationInfo) -> Any:
    """A node is called by its host, if that can be a name."""
    if value != "":
        return value
    host = info.data.get("host")
    if host is not None and not re.fullmatch(NODE_NAME, host):
        raise BadValue(f"the host {quote(host)} can't be the name", expected="name: beside it")
    return host or "unnamed"  # without a host the node is refused anyway


class NodeSpec(Frozen):
    """A box, as the inventory has it."""

    transport: Annotated[Transport, BeforeValidator(_transport)] = "ssh"
    """ssh: by asyncssh; local: this machine, by a subprocess."""
    host: Annotated[Host, BeforeValidator(_host)] = Field("", validate_default=True)
    """A name, an address or one of ~/.ssh/config; `localhost` for a local node that gives none."""
    name: Annotated[NodeName, BeforeValidator(_name)] = Field("", validate_default=True)
    """What the node is called; its host if left out."""
    user: Account | None = None
    """The account on the node; None: ~/.ssh/config says, then the inventory's defaults."""
    port: Port | None = None
    """None: as for `user`."""
    labels: Labels = {}
    reserve: Reserve = Reserve()
    gpus: Annotated[GpuPolicy, BeforeValidator(_gpus)] = GpuPolicy()
    python: Program | None = None
    """The Python that runs the agent; None: found on the node."""
