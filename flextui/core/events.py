"""What reaches the engine's mailbox from outside: past-tense facts about nodes and attempts.

Adapters make them, the reducer folds them into the state. They carry plain data and no clock: the
engine stamps them when it takes them up. A newer `Sampled` replaces an older one of the same node
that still waits in the mailbox (`can_replace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flextui.core.model.state import Facts, Gpu, GpuPlace, NodeStatus, Sample


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended, as its supervisor recorded it."""

    code: int | None
    signal: int | None
    why: str
    text: str = ""
    ended_ago_s: float | None = None
    ran_s: float | None = None
    last_lines: str = ""
    """The end of its output, when it failed."""


@dataclass(frozen=True, slots=True)
class Record:
    """An attempt as the node's disk tells it. state: starting, running, ended, lost, never."""

    attempt: str
    state: str
    job: str = ""
    pid: int | None = None
    started_ago_s: float | None = None
    exit: Exit | None = None
    devices: tuple[str, ...] = ()
    limit: str = ""
    log_bytes: Mapping[str, int] = field(default_factory=dict)
    nonce: str = ""
    """That of the start it came from; "" from older agents."""


@dataclass(frozen=True, slots=True)
class NodeConnecting:
    node: str


@dataclass(frozen=True, slots=True)
class NodeReady:
    """Hello was exchanged. `records` is everything that lies in this core's folder there."""

    node: str
    facts: Facts
    records: tuple[Record, ...]
    granted: bool
    driver: str = ""
    """user@host of the core that drives the node when granted is False."""
    adopted: bool = False
    """The folders of the cores that this one's state was copied from are now this core's."""


@dataclass(frozen=True, slots=True)
class NodeDown:
    """The session is gone. status LOST (silence) or UNREACHABLE (a definite complaint)."""

    node: str
    status: NodeStatus
    code: str
    """e.g. closed, timeout, refused, auth, host_key, python, disk, state_missing, epoch, alias."""
    text: str
    """One line for the node's row: what is wrong and the mend."""


@dataclass(frozen=True, slots=True)
class NodeFenced:
    """Another core took the node over."""

    node: str
    by: str


@dataclass(frozen=True, slots=True)
class AttemptReported:
    """A state change on the node, or the answer to a start."""

    node: str
    record: Record


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The node refused a start and nothing ran. Codes: see docs/dev/agent-protocol.md.

    `taken` answers a stop or an abandoning as well: the folder is of another attempt of this id.
    """

    node: str
    attempt: str
    code: str
    text: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class AttemptUnknown:
    """The node has no such attempt (answer to a stop), under the root_id we know."""

    node: str
    attempt: str


@dataclass(frozen=True, slots=True)
class Sampled:
    node: str
    sample: Sample
    gpus: tuple[Gpu, ...]

    def can_replace(self, other: object) -> bool:
        return isinstance(other, Sampled) and other.node == self.node


@dataclass(frozen=True, slots=True)
class PlacesSeen:
    """Where all devices of a node sit; told once a session and when the devices change."""

    node: str
    places: Mapping[str, GpuPlace]


@dataclass(frozen=True, slots=True)
class XidSeen:
    node: str
    uuid: str
    """The GPU's, also where it is cut into slices."""
    xid: int
    text: str
    mig: str = ""
    """The slice that it happened on, where the driver tells."""


@dataclass(frozen=True, slots=True)
class LeaseAsked:
    """A supervisor asks to renew; granting is the engine's to decide."""

    node: str
    attempt: str
    seq: int


NodeEvent = (
    NodeConnecting
    | NodeReady
    | NodeDown
    | NodeFenced
    | AttemptReported
    | StartRefused
    | AttemptUnknown
    | Sampled
    | PlacesSeen
    | XidSeen
    | LeaseAsked
)
