"""The inventory: which boxes there are, how they are reached and what holds for all of them.

It is read once at the start of a core and never written. What it leaves open is decided where
the facts are: GPUs by NVML on the node, account and port by the user's SSH configuration.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field

from flextui.core.model.boxes import (
    DeclaredGpu,
    Defaults,
    GpuPolicy,
    Host,
    NodeSpec,
    Reserve,
    Transport,
)
from flextui.core.model.crosscheck import contradictions
from flextui.core.model.document import load
from flextui.core.model.fields import Flag, Frozen, Text, check, matches
from flextui.core.model.names import short_name
from flextui.core.model.people import GpuHours, Project, ProjectName, Quota, Users, holds
from flextui.core.model.policy import Policy, Weights
from flextui.core.model.problems import BadInput, Problem, unless_told
from flextui.core.model.reader import Grammar, read
from flextui.core.model.volumes import Volume, VolumeName
from flextui.core.model.windows import Maintenance, Reservation

__all__ = [
    "DeclaredGpu",
    "Defaults",
    "GpuHours",
    "GpuPolicy",
    "Inventory",
    "Maintenance",
    "NodeSpec",
    "Policy",
    "Project",
    "Quota",
    "Reservation",
    "Reserve",
    "Transport",
    "Users",
    "Volume",
    "Weights",
    "default_inventory",
    "read_inventory",
]

FleetName = Annotated[Text, matches(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and '-'")]


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
    projects: dict[ProjectName, Project] = {}
    volumes: dict[VolumeName, Volume] = {}
    reservations: tuple[Reservation, ...] = ()
    """Devices kept for somebody; more are made by command."""
    maintenance: tuple[Maintenance, ...] = ()

    def node(self, name: str) -> NodeSpec | None:
        """The node of that name."""
        return next((node for node in self.nodes if node.name == name), None)

    def projects_of(self, user: str, groups: tuple[str, ...]) -> tuple[str, ...]:
        """The projects that the user is a member of."""
        return tuple(
            name for name, project in self.projects.items() if holds(project.members, user, groups)
        )

    @cached_property
    def quota_window(self) -> float:
        """Seconds that GPU hours of any quota are counted back; 0 without such quotas."""
        quotas = [project.quota for project in self.projects.values()]
        quotas += [self.users.quota, *self.users.quotas.values()]
        return max((it.gpu_hours.window for it in quotas if it.gpu_hours), default=0.0)

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
            ("projects", "*", "members", "*"),
            ("volumes", "*", "path"),
            ("volumes", "*", "nodes", "*"),
            ("reservations", "*", "name"),
            ("reservations", "*", "nodes"),
            ("reservations", "*", "nodes", "*"),
            ("reservations", "*", "for"),
            ("reservations", "*", "for", "*"),
            ("maintenance", "*", "name"),
            ("maintenance", "*", "nodes"),
            ("maintenance", "*", "nodes", "*"),
        }
    ),
    later={
        ("pools",): (),
    },
)


def read_inventory(text: str | bytes, source: str) -> Inventory:
    """The fleet that a text describes. Raises `BadInput` with every problem of the file."""
    documents, problems = load(text, source)
    inventory: Inventory | None = None
    if documents:
        inventory, found = read(documents[0], GRAMMAR)
        problems += [*unless_told(problems, found), *contradictions(documents[0], inventory)]
    for extra in documents[1:2]:
        problems.append(
            extra.problem(extra.root.place, "a second document", "one inventory a file")
        )
    if not documents and not problems:
        problems.append(Problem(source, 1, 1, "the inventory is empty", "nodes: with at least one"))
    if problems or inventory is None:
        raise BadInput(problems)
    return inventory


def default_inventory(hostname: str) -> Inventory:
    """The fleet without an inventory: this machine alone, called by its short host name."""
    short = short_name(hostname)
    node = NodeSpec(name=short, host=short, transport="local")
    return Inventory(fleet=short, nodes=(node,))
