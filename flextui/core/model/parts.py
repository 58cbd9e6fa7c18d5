"""The parts of a job spec that are values of their own, with their checks and defaults.

Each says in its descriptions what it means; `flextui schema` hands these to editors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from flextui.core.model.fields import (
    EXECUTABLE,
    Bytes,
    ExecText,
    Flag,
    Frozen,
    Labels,
    Number,
    Seconds,
    Text,
    Whole,
    Words,
    check,
    executable,
    matches,
)
from flextui.core.model.problems import BadValue, nearest
from flextui.core.model.units import format_duration, parse_size

_TYPES = ("batch", "service", "system")

MIN_MEMORY = 2**20


def _command(value: Any) -> Any:
    """A shell line, or an argv."""
    if isinstance(value, str):
        return _shell_line(value)
    if not isinstance(value, list | tuple) or not value or not all(type(it) is str for it in value):
        raise BadValue(expected="a shell line, or a list of texts (program and arguments)")
    if not value[0].strip():
        raise BadValue("the program's name is empty", expected="a command")
    if not all(map(executable, value)):
        raise BadValue("a text of it can't be passed on", expected=EXECUTABLE)
    return tuple(value)


def _shell_line(line: str) -> str:
    if not line.strip():
        raise BadValue(expected="a command")
    if not executable(line):
        raise BadValue(expected=EXECUTABLE)
    return line


def _job_type(value: Any) -> Any:
    if value not in _TYPES:
        what = "'cron' is not supported yet" if value == "cron" else ""
        like = nearest(value, _TYPES) if isinstance(value, str) and not what else ""
        raise BadValue(what, expected=f"one of {', '.join(_TYPES)}", nearest=like)
    return value


def _settable(name: str) -> bool:
    return not name.startswith("FLEXTUI_") and name != "CUDA_VISIBLE_DEVICES"


def _gpu_share(value: Any) -> float | int:
    """Thousandths of a GPU as a float, or bytes."""
    forms = "a part between 0 and 1, such as 0.5, or a size such as 10GiB"
    if isinstance(value, float):
        if not 0.0005 <= value < 0.9995:
            raise BadValue(expected=forms)
        return round(value, 3)
    try:
        size = parse_size(value)
    except BadValue as error:
        raise BadValue(expected=forms, nearest=error.nearest) from error
    if size < MIN_MEMORY:
        raise BadValue(expected=forms)
    return size


def _sensible_memory(size: int) -> bool:
    return size >= MIN_MEMORY


JobType = Annotated[
    Literal["batch", "service", "cron", "system"],
    BeforeValidator(_job_type),
    WithJsonSchema({"enum": list(_TYPES)}),
]
JobName = Annotated[
    Text, matches(r"[a-z0-9][a-z0-9-]{0,62}", "1 to 63 of a-z, 0-9 and '-', not starting with '-'")
]
Command = Annotated[
    str | tuple[str, ...],
    BeforeValidator(_command),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
EnvName = Annotated[
    Text,
    matches(r"[A-Za-z_][A-Za-z0-9_]{0,254}", "letters, digits and '_', not starting with a digit"),
    check(_settable, "another name: flextui sets FLEXTUI_* and CUDA_VISIBLE_DEVICES itself"),
]
Share = Annotated[
    float | int,
    BeforeValidator(_gpu_share),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
            "examples": [0.5, "10GiB"],
        }
    ),
]
Memory = Annotated[Bytes, check(_sensible_memory, "at least 1MiB, with a unit such as 64GiB")]
Folder = Annotated[
    ExecText, matches(r"(?s)(/|~(/|$)).*", "an absolute path, or one that starts with ~/")
]
Exit = Annotated[Whole, Field(ge=0, le=255)]
Delay = Annotated[Seconds, Field(le=86_400)]


class Resources(Frozen):
    """What each task gets to itself."""

    gpus: Whole = Field(0, ge=0, le=1024, description="Whole GPUs.")
    gpu_share: Share | None = Field(
        None,
        description="A part of one shared GPU, in place of gpus: 0.5 of it, or so much of its "
        "memory, such as 10GiB.",
    )
    gpu_model: Words = Field(
        (), description="Models that will do, in whole words of their names: a100, rtx4090."
    )
    gpu_memory: Memory | None = Field(None, description="The least memory a GPU must have.")
    cpus: Number = Field(1.0, ge=0, le=65_536, description="Cores; may be fractional.")
    memory: Memory | None = Field(
        None, description="Main memory, also its limit. Left out: no limit, and none set aside."
    )

    @field_validator("gpu_model", "gpu_memory")
    @classmethod
    def _only_with_gpus(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("gpus") == 0 and info.data.get("gpu_share") is None:
            raise BadValue("no GPU is asked for", expected="gpus: 1 or more beside it")
        return value

    @field_validator("gpu_share")
    @classmethod
    def _whole_or_part(cls, value: float | int | None, info: ValidationInfo) -> float | int | None:
        if value is not None and info.data.get("gpus", 0):
            raise BadValue("whole GPUs are asked for as well", expected="gpu_share or gpus alone")
        return value

    @property
    def share_milli(self) -> int:
        """Thousandths of a GPU that a share asks for; 0 if it gives a size, or there is none."""
        return round(self.gpu_share * 1000) if isinstance(self.gpu_share, float) else 0

    @property
    def share_bytes(self) -> int:
        """Bytes of a GPU's memory that a share asks for; 0 if it gives a part, or there is none."""
        return self.gpu_share if isinstance(self.gpu_share, int) else 0


class Match(Frozen):
    """Nodes, by label and by name."""

    labels: Labels = Field({}, description="Labels.")
    node: Words = Field((), description="Names of nodes.")


class Where(Frozen):
    """On which nodes. In a file, labels stand directly under `where`."""

    labels: Labels = Field({}, description="Labels that a node must have, with these values.")
    node: Words = Field((), description="Names of nodes, any of which will do.")
    not_: Match = Field(Match(), alias="not", description="Nodes to keep away from.")
    prefer: Labels = Field({}, description="Labels that make a node better, not necessary.")
    apart: Words = Field(
        (), description="One's own jobs (also this one) with which it shares no node."
    )
    placement: Literal["pack", "spread"] | None = Field(
        None,
        description="pack: few nodes, as full as can be; spread: as many nodes as can be. "
        "Unset: spread for a service, else pack.",
    )


class Restart(Frozen):
    """When an ended task starts again, and when that is given up."""

    on: Literal["never", "failure", "always"] = Field(
        "failure", description="Which endings restart a task. Unset: never for batch, else always."
    )
    attempts: Whole = Field(
        3, ge=0, le=1000, description="So many restarts within `within`; one more is a crash loop."
    )
    within: Seconds = Field(600.0, gt=0, description="The window in which restarts are counted.")
    delay: Delay = Field(5.0, description="Wait before the first restart of a window.")
    backoff: Number = Field(
        2.0, ge=1, le=100, description="Each further wait is so many times longer."
    )
    max_delay: Delay = Field(300.0, validate_default=True, description="The longest wait.")
    not_on_exit: tuple[Exit, ...] = Field((), description="Exit codes that never restart.")

    @field_validator("max_delay")
    @classmethod
    def _not_below_delay(cls, value: float, info: ValidationInfo) -> float:
        delay = info.data.get("delay", 0.0)
        if value < delay:
            raise BadValue(
                f"max_delay ({format_duration(value)}) is shorter than delay",
                expected=f"max_delay: {format_duration(delay)} or more",
            )
        return value


class OnNodeLoss(Frozen):
    """What happens to a task whose node is out of sight."""

    then: Literal["wait", "reschedule", "fail"] = Field(
        "wait", description="Unset: reschedule for a service, else wait."
    )
    after: Seconds | None = Field(
        None, description="How long a node is out of sight first. Unset: policy.node_lost_after."
    )
    fence: Flag = Field(
        False, description="The node itself kills the task before it may start elsewhere."
    )

    @field_validator("fence")
    @classmethod
    def _fence_what_is_given_up(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("then") == "wait":
            raise BadValue("a task that waits isn't fenced", expected="then: reschedule or fail")
        return value


class Idle(Frozen):
    """When a job that leaves its GPUs idle is told off, or stopped."""

    gpu_below: Number = Field(
        5.0, gt=0, le=100, description="Percent of use below which all its GPUs count as idle."
    )
    for_: Seconds = Field(
        1800.0, alias="for", gt=0, description="How long they are idle before anything happens."
    )
    then: Literal["warn", "stop"] = Field("warn", description="What happens then.")
    grace: Delay = Field(300.0, description="From the warning to the stop.")
