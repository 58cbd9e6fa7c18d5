"""Rules about GPUs: a driver that doesn't answer; one broken, cordoned by flextui itself, held by
strangers."""

from __future__ import annotations

from collections.abc import Iterator

from flextui.core.model.docs import ACTOR
from flextui.core.model.state import Gpu, Mark, Node, NodeStatus
from flextui.core.model.units import format_size
from flextui.core.problems.problem import Problem, Scene, Step, listed
from flextui.core.scheduler.device import device_of, foreign_use

GIB = 2**30
_WELL = ("", "ok", "starting", "absent")
"""What NVML's state may be where nothing is wrong with it."""


def _up(scene: Scene) -> Iterator[Node]:
    for node in scene.snapshot.nodes.values():
        if node.status in (NodeStatus.READY, NodeStatus.OBSERVED):
            yield node


def _wholes(node: Node) -> list[Gpu]:
    """Each GPU once, not each of its slices."""
    found: dict[str, Gpu] = {}
    for gpu in node.gpus:
        found.setdefault(gpu.parent or gpu.uuid, gpu)
    return list(found.values())


def driver(scene: Scene) -> Iterator[Problem]:
    """NVML hangs or fails: nothing is known of a node's GPUs, and nothing can start on them."""
    for node in _up(scene):
        state = node.sample.nvml
        if state in _WELL:
            continue
        users = scene.names(it for it in scene.live.get(node.name, []) if it.gpus)
        gpus = len(_wholes(node))
        unseen = f"{gpus} GPU{'s' if gpus > 1 else ''} can't be used" if gpus else "its GPUs"
        text = "doesn't answer" if state == "hung" else state.removeprefix("error: ")
        yield Problem(
            id=f"nvml:{node.name}",
            severity="critical",
            what=f"{node.name}: NVML {text}",
            next=Step("see what is wrong with the driver", "check", f"check {node.name}"),
            touches=f"{listed(users)} still on its GPUs" if users else unseen,
            node=node.name,
        )


def broken(scene: Scene) -> Iterator[Problem]:
    """Devices that fell off the bus, report an error, or that flextui took out for one."""
    for node in _up(scene):
        for gpu in _wholes(node):
            mark = node.cordon_of(gpu)
            if gpu.state == "error" and node.sample.nvml not in _WELL:
                continue  # told once, of the driver
            if gpu.state in ("lost", "error"):
                text = f"{node.name} GPU{gpu.index}: {gpu.text or gpu.state}"
                yield _broken(scene, node, gpu, text, mark, critical=True)
            elif mark is not None and mark.by == ACTOR:
                text = f"{node.name} GPU{gpu.index}: {mark.why}, cordoned"
                yield _broken(scene, node, gpu, text, mark, critical=False)


def _broken(
    scene: Scene, node: Node, gpu: Gpu, text: str, mark: Mark | None, *, critical: bool
) -> Problem:
    device = f"{node.name}:{gpu.index}"
    users = [it for it in scene.live.get(node.name, []) if gpu.uuid in it.gpus]
    if mark is None:
        step = Step("give it no new work", "cordon", f"cordon {device}")
    elif critical or gpu.recovery_action:
        step = Step("empty the node, then reset it", "drain", f"drain {node.name}")
    else:
        step = Step("when it is well again", "uncordon", f"uncordon {device}")
    return Problem(
        id=f"gpu:{node.name}:{gpu.parent or gpu.uuid}",
        severity="critical" if critical else "warning",
        what=text,
        next=step,
        since=mark.at if mark is not None else None,
        touches=f"{listed(scene.names(users))} still on it" if users else _lost_with(node, gpu),
        node=node.name,
        gpu=str(gpu.index),
    )


def _lost_with(node: Node, gpu: Gpu) -> str:
    return f"{node.name} has one {gpu.model.removeprefix('NVIDIA ')} less"


def ecc(scene: Scene) -> Iterator[Problem]:
    """Uncorrected memory errors on a device that still takes work."""
    for node in _up(scene):
        for gpu in _wholes(node):
            if gpu.ecc_uncorrected and node.cordon_of(gpu) is None and gpu.state == "ok":
                users = [it for it in scene.live.get(node.name, []) if gpu.uuid in it.gpus]
                yield Problem(
                    id=f"ecc:{node.name}:{gpu.parent or gpu.uuid}",
                    severity="warning",
                    what=f"{node.name} GPU{gpu.index}: uncorrected ECC errors",
                    next=Step("give it no new work", "cordon", f"cordon {node.name}:{gpu.index}"),
                    touches=listed(scene.names(users)),
                    node=node.name,
                    gpu=str(gpu.index),
                )


def foreign(scene: Scene) -> Iterator[Problem]:
    """Processes that are no jobs and hold GPUs that waiting jobs could have; one line for each
    user on a node."""
    for node in scene.snapshot.nodes.values():
        if node.status is not NodeStatus.READY:
            continue
        found: dict[str, list[tuple[Gpu, int]]] = {}
        for gpu in node.gpus:
            if gpu.state == "ok" and gpu.processes and not _ours(scene, node, gpu):
                _, users = foreign_use(scene.snapshot, node, gpu, device_of(node, gpu))
                for who, memory in users:
                    found.setdefault(who, []).append((gpu, memory or 0))
        for who, gpus in found.items():
            yield _foreign(scene, node, who, gpus)


def _ours(scene: Scene, node: Node, gpu: Gpu) -> bool:
    return any(gpu.uuid in it.gpus for it in scene.live.get(node.name, []))


def _foreign(scene: Scene, node: Node, who: str, gpus: list[tuple[Gpu, int]]) -> Problem:
    numbers = ", ".join(str(it.index) for it, _ in gpus)
    memory = sum(it for _, it in gpus) // GIB * GIB
    size = f" {format_size(memory)}" if memory else ""
    waits = scene.waiting_for.get(node.name, [])
    whose = "" if who.endswith("(left over)") else ", no job of flextui"
    return Problem(
        id=f"foreign:{node.name}:{who}",
        severity="warning" if waits else "notice",
        what=f"{node.name} GPU {numbers}: {who}{size}{whose}",
        next=Step("see the process; talk to its owner", "node", f"gpus {node.name}"),
        touches=f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} blocked"
        + (f" for {listed(waits)}" if waits else ""),
        node=node.name,
        gpu=str(gpus[0][0].index),
    )
