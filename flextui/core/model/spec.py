"""The job spec: what a user asks for, as one frozen value with every default filled in.

A spec is read from YAML that a person wrote (`read_specs`), is stored as JSON (`to_text`,
`spec_from_text`) and is compared by its `spec_hash`. Fields that a later version acts on are
known and refused, so that a spec never runs as something less than it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from flextui.core.model.document import load
from flextui.core.model.fields import (
    AS_WRITTEN,
    ExecText,
    Flag,
    Frozen,
    Seconds,
    Text,
    Whole,
    check,
)
from flextui.core.model.moments import Moment, not_before, shown
from flextui.core.model.parts import (
    Command,
    Delay,
    EnvName,
    Folder,
    Idle,
    JobName,
    JobType,
    Match,
    OnNodeLoss,
    Resources,
    Restart,
    Where,
)
from flextui.core.model.people import PROJECT_NAME
from flextui.core.model.problems import (
    MAX_PROBLEMS,
    BadInput,
    BadValue,
    Problem,
    quote,
    unless_told,
)
from flextui.core.model.reader import Grammar, read
from flextui.core.model.tree import Document, Place, Value
from flextui.core.model.volumes import VolumeUses

__all__ = [
    "Idle",
    "JobSpec",
    "JobType",
    "Match",
    "OnNodeLoss",
    "Resources",
    "Restart",
    "Where",
    "Written",
    "read_specs",
    "read_written",
    "spec_from_text",
]

MAX_COUNT = 10_000
EnvValue = Annotated[ExecText, AS_WRITTEN]
PROJECT_FORMS = "the name of a project, of a-z, 0-9 and '-'"


def _project(name: str) -> bool:
    return not name or re.fullmatch(PROJECT_NAME, name) is not None


class JobSpec(Frozen):
    """A job as a user describes it."""

    name: JobName = Field(description="A name of a-z, 0-9 and '-', unique among one's own jobs.")
    type: JobType = Field(
        "batch", description="batch: runs to its end; service: stays up; system: one on each node."
    )
    run: Command = Field(description="A command: a text runs in sh -c, a list is an argv.")
    priority: Whole = Field(50, ge=0, le=100, description="Higher goes first.")
    resources: Resources = Field(Resources(), description="What each task gets to itself.")
    count: Whole = Field(1, ge=0, le=MAX_COUNT, description="Replicas of a service.")
    where: Where = Field(Where(), description="On which nodes: labels, node, not, prefer.")
    env: dict[EnvName, EnvValue] = Field({}, description="Environment variables.")
    workdir: Folder | None = Field(None, description="Where it runs; ~ is that account's home.")
    restart: Restart = Field(Restart(), description="When an ended task starts again.")
    on_node_loss: OnNodeLoss = Field(OnNodeLoss(), description="When its node is out of sight.")
    time_limit: Annotated[Seconds, Field(gt=0)] | None = Field(
        None, description="The longest that an attempt may run."
    )
    grace: Delay = Field(30.0, description="From SIGTERM to SIGKILL, when it is stopped.")
    project: Annotated[Text, check(_project, PROJECT_FORMS)] = Field(
        "", description="The project whose quota it uses. Unset: none."
    )
    nodes: Whole = Field(
        1, ge=1, le=1024, description="More than 1: a gang, one task on each of so many nodes."
    )
    begin: Moment | None = Field(
        None, description="When it may start at the earliest: a time, or so long from submission."
    )
    deadline: Moment | None = Field(
        None, description="When it must have ended: a time, or so long from submission."
    )
    preempt: Literal["never", "restart", "resume"] = Field(
        "restart",
        description="What becomes of it when it makes room for others: it starts anew, or goes "
        "on from what it saved. Unset: restart for batch, else never.",
    )
    idle: Idle | None = Field(None, description="What happens when it leaves its GPUs idle.")
    interactive: Flag = Field(
        False, description="Somebody works in it: idle only while no terminal or kernel is active."
    )
    volumes: VolumeUses = Field(
        (), description="Volumes of the inventory that it needs: NAME, NAME:/PATH, NAME:/PATH:ro."
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_type(cls, data: Any) -> Any:
        """Fill in what depends on the type, before anything is checked."""
        if not isinstance(data, Mapping):
            return data
        kind = data.get("type", "batch")
        restart = data.get("restart")
        if restart is None and "restart" not in data:
            restart = {"on": "never" if kind == "batch" else "always"}
        elif isinstance(restart, Mapping) and "on" not in restart:
            restart = {**restart, "on": "failure" if kind == "batch" else "always"}
        loss = data.get("on_node_loss", {})
        if isinstance(loss, Mapping) and "then" not in loss:
            loss = {**loss, "then": "reschedule" if kind == "service" else "wait"}
        preempt = data.get("preempt", "restart" if kind == "batch" else "never")
        return {**data, "restart": restart, "on_node_loss": loss, "preempt": preempt}

    @field_validator("count")
    @classmethod
    def _count_of_service(cls, value: int, info: ValidationInfo) -> int:
        kind = info.data.get("type", "service")
        if value != 1 and kind != "service":
            raise BadValue(f"a {kind} job has no replicas", expected="type: service, or count: 1")
        return value

    @field_validator("nodes")
    @classmethod
    def _gang_of_batch(cls, value: int, info: ValidationInfo) -> int:
        kind = info.data.get("type", "batch")
        if value != 1 and kind != "batch":
            raise BadValue(f"a {kind} job is no gang", expected="type: batch, or nodes: 1")
        return value

    @field_validator("interactive")
    @classmethod
    def _interactive_batch(cls, value: bool, info: ValidationInfo) -> bool:
        kind = info.data.get("type", "batch")
        if value and kind != "batch":
            raise BadValue(f"a {kind} job isn't interactive", expected="type: batch, or false")
        return value

    @field_validator("deadline")
    @classmethod
    def _begin_first(cls, value: float | str | None, info: ValidationInfo) -> float | str | None:
        """Only where both are of one kind: else it shows when it is submitted."""
        begin = info.data.get("begin")
        if begin is not None and value is not None and not_before(begin, value):
            raise BadValue("it isn't later than begin", expected=f"later than {shown(begin)}")
        return value

    @field_validator("idle")
    @classmethod
    def _idle_gpus(cls, value: Idle | None, info: ValidationInfo) -> Idle | None:
        resources = info.data.get("resources")
        if value and resources and not resources.gpus and resources.gpu_share is None:
            raise BadValue("no GPU is asked for", expected="gpus or gpu_share in resources")
        return value

    def to_json(self) -> dict[str, Any]:
        """The spec as it could stand in a file, every default filled in: `read_specs` reads it."""
        data = super().to_json()
        data["where"] = _flat_where(data["where"])
        return data

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The spec that `to_json` gave. Raises `ValueError` for anything that isn't one."""
        return cls.model_validate(_nested(data) if isinstance(data, Mapping) else data)

    @property
    def spec_hash(self) -> str:
        """SHA-256 over everything it says: equal hashes, equal specs."""
        return self.fingerprint


def spec_from_text(text: str) -> JobSpec:
    """The spec of a canonical text (`JobSpec.to_text`). Raises `ValueError` if it isn't one."""
    return JobSpec.from_json(json.loads(text))


_WHERE_WORDS = ("node", "not", "prefer", "placement", "apart")


def _nested(data: Mapping[str, Any]) -> dict[str, Any]:
    """Labels of `where` and `where.not` into a mapping of their own, as the model has them."""
    where = data.get("where")
    if not isinstance(where, Mapping):
        return dict(data)
    nested = _with_labels(where, _WHERE_WORDS)
    if isinstance(avoid := nested.get("not"), Mapping):
        nested["not"] = _with_labels(avoid, ("node",))
    return {**data, "where": nested}


def _with_labels(flat: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    known = {name: value for name, value in flat.items() if name in words}
    return {**known, "labels": {name: it for name, it in flat.items() if name not in words}}


def _flat_where(where: dict[str, Any]) -> dict[str, Any]:
    avoid = where.pop("not")
    return {**where.pop("labels"), **where, "not": {**avoid.pop("labels"), **avoid}}


GRAMMAR = Grammar(
    model=JobSpec,
    text=frozenset(
        {
            ("name",),
            ("run",),
            ("run", "*"),
            ("resources", "gpu_model"),
            ("resources", "gpu_model", "*"),
            ("where", "*"),
            ("where", "node", "*"),
            ("where", "not", "*"),
            ("where", "not", "node", "*"),
            ("where", "prefer", "*"),
            ("where", "apart", "*"),
            ("env", "*"),
            ("workdir",),
            ("project",),
            ("volumes", "*"),
        }
    ),
    later={
        ("image",): (),
        ("array",): (),
        ("schedule",): (),
        ("timezone",): (),
        ("overlap",): (),
        ("catch_up",): (),
        ("depends_on",): (),
        ("env_file",): (),
        ("files",): (),
        ("secrets",): (),
        ("sync",): (),
        ("ports",): (),
        ("health",): (),
        ("update",): (),
        ("notify",): (),
        ("where", "pool"): (),
    },
    nest=_nested,
)


class Written(NamedTuple):
    """A job as it stands in a file: what is wrong with it later is told at its place."""

    spec: JobSpec
    document: Document


def read_specs(text: str | bytes, source: str) -> tuple[JobSpec, ...]:
    """The jobs of a file, one per YAML document. Names are unique within the file.

    Raises `BadInput` with every problem of the file; `source` is the file's name in them.
    """
    return tuple(written.spec for written in read_written(text, source))


def read_written(text: str | bytes, source: str) -> tuple[Written, ...]:
    """As `read_specs`, each with its document."""
    documents, problems = load(text, source)
    broken = tuple(problems)
    found: list[Written] = []
    names: dict[str, Place] = {}
    for document in documents:
        spec, wrong = read(document, GRAMMAR)
        problems += unless_told(broken, wrong)
        if twice := _twice(document, names):
            problems.append(twice)
        if spec is not None:
            found.append(Written(spec, document))
        if len(problems) > MAX_PROBLEMS:
            break
    if not documents and not problems:
        problems.append(Problem(source, 1, 1, "there is no job here", "name: and run:"))
    if problems:
        raise BadInput(problems)
    return tuple(found)


def _twice(document: Document, names: dict[str, Place]) -> Problem | None:
    """Whether an earlier document has this one's name; notes the name in `names`."""
    named = document.find(("name",))
    if not named.path or not isinstance(named.node, Value):
        return None
    place, name = named.node.place, named.node.text
    if name in names:
        what = f"the name {quote(name)} is used twice"
        return document.problem(place, what, f"another name than in line {names[name].line}")
    names[name] = place
    return None
