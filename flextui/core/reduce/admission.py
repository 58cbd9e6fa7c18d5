"""Whether a spec may be handed in, and on which terms: project, times, volumes, quotas, sense.

What can be known at once is said at once, with the place in the file: a job that could never
start isn't taken in to wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from flextui.core.commands import CommandError, ErrorCode
from flextui.core.model.inventory import Inventory, Quota
from flextui.core.model.moments import resolve, shown
from flextui.core.model.people import holds
from flextui.core.model.problems import nearest, quote
from flextui.core.model.spec import JobSpec
from flextui.core.model.state import Identity, Job, Snapshot
from flextui.core.model.times import iso
from flextui.core.model.tree import Steps
from flextui.core.model.units import format_duration
from flextui.core.model.volumes import volume_use
from flextui.core.scheduler.ever import never


class SpecRefused(CommandError):
    """A spec says something that can't be had here; `path` is the field. `at`: which of a call."""

    def __init__(
        self,
        path: Steps,
        message: str,
        expected: str = "",
        like: str = "",
        *,
        code: ErrorCode = "input",
    ) -> None:
        text = message + (f"; expected {expected}" if expected else "")
        super().__init__(code, text + (f"; did you mean {like}?" if like else ""))
        self.path = path
        self.message = message
        self.expected = expected
        self.nearest = like
        self.at = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job is taken in on."""

    project: str
    begin_at: float | None
    deadline_at: float | None


def settle(inventory: Inventory, spec: JobSpec) -> JobSpec:
    """The spec with what the inventory says where it says nothing: the limit of an interactive
    job, and that a job waits for the node that has its data. Raises `SpecRefused`."""
    changes: dict[str, object] = {}
    if spec.interactive and spec.time_limit is None:
        changes["time_limit"] = inventory.policy.interactive_limit
    if _on_few_nodes(inventory, spec) and spec.on_node_loss.then == "reschedule":
        loss = spec.on_node_loss.to_json()
        changes["on_node_loss"] = {**loss, "then": "wait", "fence": False}
    return JobSpec.from_json({**spec.to_json(), **changes}) if changes else spec


def terms(inventory: Inventory, wall: float, who: Identity, admin: bool, spec: JobSpec) -> Terms:
    """Its project and times. Raises `SpecRefused`."""
    _check_project(inventory, who, admin, spec.project)
    begin_at = None if spec.begin is None else resolve(spec.begin, wall)
    deadline_at = None if spec.deadline is None else resolve(spec.deadline, wall)
    if spec.deadline is not None and deadline_at is not None:
        if deadline_at <= wall:
            what = f"the deadline {shown(spec.deadline)} has passed"
            raise SpecRefused(("deadline",), what, f"a time later than now, {iso(wall)}")
        if begin_at is not None and deadline_at <= begin_at:
            what = "the deadline isn't later than begin"
            raise SpecRefused(("deadline",), what, f"a time later than {iso(begin_at)}")
    return Terms(spec.project, begin_at, deadline_at)


def _check_project(inventory: Inventory, who: Identity, admin: bool, name: str) -> None:
    if not name:
        return
    project = inventory.projects.get(name)
    own = inventory.projects_of(who.user, who.groups)
    if project is None:
        expected = f"one of {', '.join(inventory.projects)}" if inventory.projects else "none"
        like = nearest(name, inventory.projects)
        raise SpecRefused(("project",), f"there is no project {quote(name)}", expected, like)
    if not admin and not holds(project.members, who.user, who.groups):
        what = f"{who.user} is no member of the project {quote(name)}"
        expected = f"one of {', '.join(own)}, or none" if own else "none: you have no project"
        raise SpecRefused(("project",), what, expected, code="permission")


def _on_few_nodes(inventory: Inventory, spec: JobSpec) -> bool:
    """Whether it needs data that isn't shared. Raises `SpecRefused` for volumes that aren't."""
    few = False
    for index, text in enumerate(spec.volumes):
        use, path = volume_use(text), ("volumes", index)
        volume = inventory.volumes.get(use.name)
        if volume is None:
            expected = f"one of {', '.join(inventory.volumes)}" if inventory.volumes else "none"
            like = nearest(use.name, inventory.volumes)
            raise SpecRefused(path, f"there is no volume {quote(use.name)}", expected, like)
        if use.path and use.path.rstrip("/") != volume.path.rstrip("/"):
            what = "a mount point of its own is not supported yet: a process sees the node's files"
            raise SpecRefused(path, what, f"{use.name}, or {use.name}:{volume.path}")
        few = few or not volume.shared
    return few


# ── quotas ─────────────────────────────────────────────────────────────────────────────────────


class Counts(Protocol):
    """Live jobs by ("user" or "project", name)."""

    def get(self, key: tuple[str, str], /) -> int | None: ...


def check_quotas(
    inventory: Inventory, counts: Counts, user: str, spec: JobSpec, live: Job | None
) -> None:
    """Raises `SpecRefused` for what no wait would bring under a quota, and for one job too many.

    `live` is the job that this would be a new revision of.
    """
    project = inventory.projects.get(spec.project)
    quotas = [(user, ("user", user), inventory.users.quota_of(user))]
    if project is not None:
        quotas.append((f"the project {spec.project}", ("project", spec.project), project.quota))
    own = set() if live is None else {("user", live.owner), ("project", live.project)}
    for whose, key, quota in quotas:
        _check_gpus(whose, quota, spec)
        _check_hours(whose, quota, spec)
        others = (counts.get(key) or 0) - (key in own)
        if quota.jobs is not None and others >= quota.jobs:
            what = f"{whose} has {others} jobs of {quota.jobs} that may wait or run at once"
            raise SpecRefused((), what, "one of them to end first")


def _copies(spec: JobSpec) -> int:
    return spec.nodes * (spec.count if spec.type == "service" else 1)


def gpus_of(spec: JobSpec) -> float:
    """The GPUs that it has at once when all of it runs; a share by size counts as nothing yet."""
    return (spec.resources.gpus or spec.resources.share_milli / 1000) * _copies(spec)


def check_scale(inventory: Inventory, job: Job, count: int) -> None:
    """Raises `SpecRefused` where so many replicas would never all run."""
    if count > job.count:
        spec = JobSpec.from_json({**job.spec.to_json(), "count": count})
        _check_gpus(job.owner, inventory.users.quota_of(job.owner), spec)
        if job.project in inventory.projects:
            quota = inventory.projects[job.project].quota
            _check_gpus(f"the project {job.project}", quota, spec)


def _check_gpus(whose: str, quota: Quota, spec: JobSpec) -> None:
    asked = gpus_of(spec)
    if quota.gpus is None or asked <= quota.gpus:
        return
    field, fewer = next(_fewer(spec, quota.gpus), ("gpus", "0"))
    path = ("resources", field) if field.startswith("gpu") else (field,)
    what = f"{asked:g} GPUs at once are more than the {quota.gpus:g} that {whose} may have"
    raise SpecRefused(path, what, f"{field}: {fewer} or less")


def _fewer(spec: JobSpec, most: float) -> Iterator[tuple[str, str]]:
    """The one field to make smaller, and how small: copies first, for they change a task least."""
    each = gpus_of(spec) / _copies(spec)
    for field, number in (("count", spec.count), ("nodes", spec.nodes)):
        others = _copies(spec) // number if number > 1 else 0
        fitting = int(most / (each * others)) if others else 0
        if fitting:
            yield field, str(fitting)
    if spec.resources.gpu_share is not None:
        yield "gpu_share", f"{int(most / _copies(spec) * 1000) / 1000:g}"
    elif fitting := int(most / _copies(spec)):
        yield "gpus", str(fitting)


def _check_hours(whose: str, quota: Quota, spec: JobSpec) -> None:
    gpus = gpus_of(spec)
    if quota.gpu_hours is None or spec.time_limit is None or not gpus:
        return
    hours = gpus * spec.time_limit / 3600
    if hours > quota.gpu_hours.hours:
        what = (
            f"{gpus:g} GPUs for {format_duration(spec.time_limit)} are {hours:g} GPU hours, more "
            f"than the {quota.gpu_hours} that {whose} may use"
        )
        most = format_duration(quota.gpu_hours.hours * 3600 / gpus)
        raise SpecRefused(("time_limit",), what, f"time_limit: {most} or less")


# ── sense ──────────────────────────────────────────────────────────────────────────────────────


def check_ever(snapshot: Snapshot, spec: JobSpec) -> None:
    """Raises `SpecRefused` for a job that no node could ever hold, as far as nodes are known."""
    found = never(snapshot, spec)
    if found is not None:
        raise SpecRefused(found.path, found.text, found.nearest)
