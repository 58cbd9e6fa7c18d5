"""The inventory: which boxes there are, how they are reached and what holds for all of them.

It is read once at the start of a core and never written. What it leaves open is decided where
the facts are: GPUs by NVML on the node, account and port by the user's SSH configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from flextui.core.model.document import load
from flextui.core.model.fields import (
    Bytes,
    Flag,
    Frozen,
    Labels,
    Number,
    Seconds,
    Text,
    Whole,
    check,
    matches,
)
from flextui.core.model.problems import BadInput, BadValue, Problem, nearest, quote, unless_told
from flextui.core.model.reader import Grammar, read
from flextui.core.model.tree import Document, Fields, Items, Node, Place, Value

_TRANSPORTS = ("ssh", "local")

Transport = Literal["ssh", "openssh", "local"]
_NAME = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
NodeName = Annotated[Text, matches(_NAME, "1 to 63 of a-z, 0-9, '.' and '-'")]
FleetName = Annotated[Text, matches(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and '-'")]
Host = Annotated[
    Text, matches(r"[A-Za-z0-9_:\[][A-Za-z0-9._:%\[\]-]{0,252}", "a host's name or address alone")
]
Account = Annotated[
    Text, matches(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,254}\$?", "the name of an account")
]
Port = Annotated[Whole, Field(ge=1, le=65_535)]
Program = Annotated[
    Text, matches(r"(~?/)?[A-Za-z0-9_.+/-]+", "a program's name or path, such as /usr/bin/python3")
]
Admin = Annotated[
    Text,
    matches(r"(group:)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\$?", "a user, or group:NAME"),
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

    index: Whole = Field(ge=0, le=1023, description="Its number on the node, from 0.")
    model: Text = Field(min_length=1, max_length=100, description="Its model, such as a100.")
    memory: Bytes = Field(gt=0, description="Its memory, such as 80GiB.")


class GpuPolicy(Frozen):
    """Which GPUs of a node are used, and how. The default takes all that NVML reports."""

    foreign_ignore: Bytes = 512 * 2**20
    """Bytes of foreign memory below which a GPU still counts as free."""
    only: tuple[Annotated[Whole, Field(ge=0, le=1023)], ...] | None = None
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
    if host is not None and not re.fullmatch(_NAME, host):
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


class Users(Frozen):
    """Who may do what."""

    admins: tuple[Admin, ...] = ()
    """Users, and groups as `group:NAME`, that may act on everybody's jobs."""


class Policy(Frozen):
    """What holds for the whole fleet."""

    node_lost_after: Seconds = Field(60.0, gt=0)
    """How long a node is out of sight before it counts as lost, unless a job says `after`."""
    log_keep: Seconds = Field(14 * 86_400.0, gt=0)
    """How long what ended jobs left behind is kept."""


class Inventory(Frozen):
    """A fleet."""

    fleet: FleetName = "fleet"
    head: Host | None = None
    """The only host that starts a core for this fleet; None: any."""
    defaults: Defaults = Defaults()
    nodes: Annotated[tuple[NodeSpec, ...], check(bool, "at least one node")] = Field(
        description="A list of nodes."
    )
    users: Users = Users()
    trust_users: Flag = False
    """Users of a shared fleet may run as the core's own account."""
    policy: Policy = Policy()

    def node(self, name: str) -> NodeSpec | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def inventory_hash(self) -> str:
        """SHA-256 over everything it says: equal hashes, equal inventories."""
        return self.fingerprint


GRAMMAR = Grammar(
    model=Inventory,
    text=frozenset(
        {
            ("fleet",),
            ("head",),
            ("defaults", "user"),
            ("nodes", "*", "host"),
            ("nodes", "*", "name"),
            ("nodes", "*", "user"),
            ("nodes", "*", "python"),
            ("nodes", "*", "labels", "*"),
            ("nodes", "*", "gpus", "*", "model"),
            ("users", "admins", "*"),
        }
    ),
    later={
        ("pools",): (),
        ("volumes",): (),
        ("projects",): (),
        ("nodes", "*", "gpus", "share"): (False,),
        ("policy", "queue"): ("priority",),
        ("policy", "backfill"): (False,),
        ("policy", "preemption"): (False,),
    },
)


def read_inventory(text: str | bytes, source: str) -> Inventory:
    """The fleet that a text describes. Raises `BadInput` with every problem of the file."""
    documents, problems = load(text, source)
    inventory: Inventory | None = None
    if documents:
        inventory, found = read(documents[0], GRAMMAR)
        problems += [*unless_told(problems, found), *_repeated(documents[0])]
    for extra in documents[1:2]:
        problems.append(
            extra.problem(extra.root.place, "a second document", "one inventory a file")
        )
    if not documents and not problems:
        problems.append(Problem(source, 1, 1, "the inventory is empty", "nodes: with at least one"))
    if problems or inventory is None:
        raise BadInput(problems)
    return inventory


def _repeated(document: Document) -> Iterator[Problem]:
    """Nodes whose name, or whose way to be reached, an earlier one has."""
    names: dict[str, Place] = {}
    ways: dict[tuple[str, ...], Place] = {}
    nodes = document.find(("nodes",)).node
    for node in nodes.items if isinstance(nodes, Items) else ():
        given = _texts(node)
        place, name = given.get("name") or given.get("host") or (node.place, "")
        if name and name in names:
            what = f"the name {quote(name)} is used twice"
            yield document.problem(place, what, f"another than in line {names[name].line}")
            continue
        names.setdefault(name, place)
        way = tuple(given[key][1] if key in given else "" for key in ("host", "user", "port"))
        if way[0] and way in ways:
            what = f"the host {quote(way[0])} is given twice"
            expected = f"each box once, see line {ways[way].line}"
            yield document.problem(given["host"][0], what, expected)
        ways.setdefault(way, place)


def _texts(node: Node) -> dict[str, tuple[Place, str]]:
    """The scalars of a mapping, as written, with their places."""
    fields = node.fields if isinstance(node, Fields) else {}
    values = {key: value for key, (_, value) in fields.items() if isinstance(value, Value)}
    return {key: (value.place, value.text) for key, value in values.items()}


def default_inventory(hostname: str) -> Inventory:
    """The fleet without an inventory: this machine alone, called by its short host name."""
    short = re.sub(r"[^a-z0-9-]+", "-", hostname.split(".")[0].lower())[:63].strip("-") or "local"
    node = NodeSpec(name=short, host=short, transport="local")
    return Inventory(fleet=short, nodes=(node,))
