"""Pure: what live attempts use of their devices now, from what nodes tell of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flextui.core.model.docs import AttemptDoc, GpuDoc, JobDoc, NodeDoc
from flextui.screens.format import live_attempts


class Now(NamedTuple):
    """Of all devices together; None where no driver tells."""

    busy: float | None
    """Percent, the mean of them."""
    used: int
    """Bytes of their memory."""
    total: int


class Use:
    """Keeps the devices of a fleet by UUID; a node costs something only when it has changed."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeDoc] = {}
        self._gpus: dict[str, GpuDoc] = {}
        self._seen: dict[str, bool] = {}
        """Whether its node tells of it now."""

    def take(self, nodes: Mapping[str, NodeDoc]) -> None:
        """The newest of the nodes."""
        for name, node in nodes.items():
            if self._nodes.get(name) is not node:
                self._nodes[name] = node
                for gpu in node["gpus"]:
                    self._gpus[gpu["uuid"]] = gpu
                    self._seen[gpu["uuid"]] = node["state"] == "ready"

    def devices(self, attempt: AttemptDoc) -> list[GpuDoc]:
        """Those that it holds, as far as they are known."""
        return [gpu for uuid in attempt["gpus"] if (gpu := self._gpus.get(uuid)) is not None]

    def job(self, job: JobDoc) -> Now | None:
        """Of all its live attempts; None where these hold no device."""
        return self.attempts(live_attempts(job))

    def attempts(self, attempts: Iterable[AttemptDoc]) -> Now | None:
        """Of these; of a part of a device what the processes of the attempt do there."""
        busy: list[int] = []
        used = total = 0
        for attempt in attempts:
            for gpu in self.devices(attempt):
                if not self._seen[gpu["uuid"]]:
                    continue
                if attempt.get("share"):
                    work, held = _own(gpu, attempt["id"])
                    total += attempt.get("gpu_memory_bytes") or gpu["memory_bytes"]
                else:
                    work, held = gpu["utilization"], gpu["memory_used_bytes"] or 0
                    total += gpu["memory_bytes"]
                used += held
                if work is not None:
                    busy.append(work)
        return Now(sum(busy) / len(busy) if busy else None, used, total) if total else None


def _own(gpu: GpuDoc, attempt: str) -> tuple[int | None, int]:
    mine = [it for it in gpu["processes"] if it["attempt"] == attempt]
    work = [it["utilization"] for it in mine if it["utilization"] is not None]
    return sum(work) if work else None, sum(it["memory_bytes"] or 0 for it in mine)


def indices(gpus: Iterable[GpuDoc]) -> str:
    """Numbers of devices as people say them: `0-3`, `0 2 5`."""
    numbers = sorted({gpu["index"] for gpu in gpus})
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(
        f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(map(str, run)) for run in runs
    )
