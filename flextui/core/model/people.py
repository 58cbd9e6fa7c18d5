"""Who belongs to what, and how much of the fleet each may have: users, projects and quotas."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from flextui.core.model.fields import Frozen, Number, Seconds, Text, Whole, check, matches
from flextui.core.model.problems import BadValue, quote
from flextui.core.model.units import format_duration, parse_duration

_PERSON = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}\$?"
PROJECT_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
BENEFICIARY = re.compile(rf"(group:)?{_PERSON}|project:{PROJECT_NAME}")
BENEFICIARY_FORMS = "a user, group:NAME or project:NAME"

User = Annotated[Text, matches(_PERSON, "the name of a user")]
Member = Annotated[Text, matches(rf"(group:)?{_PERSON}", "a user, or group:NAME")]
ProjectName = Annotated[
    Text, matches(PROJECT_NAME, "1 to 63 of a-z, 0-9 and '-', not starting with '-'")
]

_HOURS_FORMS = "GPU hours in a window, such as 2000/30d"
_LONGEST_WINDOW = 366 * 86_400.0


def holds(members: Collection[str], user: str, groups: Collection[str]) -> bool:
    """Whether a list of users and `group:NAME` names that user or one of these groups."""
    return user in members or any(f"group:{group}" in members for group in groups)


class GpuHours(Frozen):
    """So many GPU hours in any window of that length."""

    hours: Number = Field(gt=0, description="GPU hours.")
    window: Seconds = Field(
        ge=3600, le=_LONGEST_WINDOW, description="The window that they are counted in, from 1h."
    )

    def __str__(self) -> str:
        return f"{self.hours:g}/{format_duration(self.window)}"


def _gpu_hours(value: Any) -> Any:
    if isinstance(value, Mapping | GpuHours):
        return value
    hours, slash, window = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not re.fullmatch(r" *[0-9]{1,12}(\.[0-9]{1,6})? *", hours):
        raise BadValue(expected=_HOURS_FORMS)
    seconds = parse_duration(window)
    if float(hours) <= 0:
        raise BadValue(f"{quote(value)} allows nothing", expected="more than 0 hours")
    if not 3600 <= seconds <= _LONGEST_WINDOW:
        raise BadValue(expected="a window from 1h to 366d, such as 2000/30d")
    return {"hours": float(hours), "window": seconds}


class Quota(Frozen):
    """The most that a user or a project may have. None: no bound."""

    gpus: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="GPUs at once; a share counts as its part."
    )
    gpu_hours: Annotated[GpuHours, BeforeValidator(_gpu_hours)] | None = Field(
        None, description="GPU hours in a window, such as 2000/30d."
    )
    jobs: Annotated[Whole, Field(gt=0)] | None = Field(
        None, description="Jobs that haven't ended, waiting or running."
    )


class Project(Frozen):
    """People who share a quota and a place in the order."""

    members: Annotated[tuple[Member, ...], check(bool, "at least one member")] = Field(
        description="Users, and groups as group:NAME."
    )
    quota: Quota = Field(Quota(), description="The most that all its members' jobs have together.")
    weight: Number = Field(1.0, gt=0, le=1e6, description="Its part of the fleet, next to others'.")

    @field_validator("members")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for at, name in enumerate(value) if name in value[:at]), None)
        if twice is not None:
            raise BadValue(f"{quote(twice)} is given twice", expected="each member once")
        return value


class Users(Frozen):
    """Who may do what, and how much."""

    admins: tuple[Member, ...] = ()
    """Users, and groups as `group:NAME`, that may act on everybody's jobs."""
    quota: Quota = Quota()
    """The most that each user may have who has no quota of his own."""
    quotas: dict[User, Quota] = {}
    """Quotas of single users, each whole in place of `quota`."""

    def quota_of(self, user: str) -> Quota:
        """What that user may have."""
        return self.quotas.get(user, self.quota)
