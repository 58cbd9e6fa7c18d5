"""What the GPUs did in the last hour, as far as this terminal has seen it: two bytes a sample."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from flextui.core.model.docs import GpuDoc, NodeDoc
from flextui.screens.format import gpu_fraction

EVERY_S = 5.0
KEPT = 720
UNKNOWN = 255
"""A sample in which the driver or the node told nothing."""


class Track:
    """Samples of one device, the oldest first: percent of utilisation and of memory."""

    def __init__(self, before: int) -> None:
        unknown = [UNKNOWN] * before
        self.busy = array("B", unknown)
        self.memory = array("B", unknown)

    def add(self, busy: int, memory: int) -> None:
        for samples, value in ((self.busy, busy), (self.memory, memory)):
            samples.append(value)
            if len(samples) > KEPT:
                del samples[: len(samples) - KEPT]


class History:
    """By the UUID of the device."""

    def __init__(self) -> None:
        self._tracks: dict[str, Track] = {}
        self._next = 0.0
        self._count = 0

    def take(self, now: float, nodes: Iterable[NodeDoc]) -> None:
        """Look at all devices, if it is time (monotonic seconds)."""
        if now < self._next:
            return
        self._next = now + EVERY_S
        seen = set()
        for node in nodes:
            fresh = node["state"] in ("ready", "observed")
            for gpu in node["gpus"]:
                seen.add(gpu["uuid"])
                track = self._tracks.get(gpu["uuid"])
                if track is None:
                    track = self._tracks[gpu["uuid"]] = Track(min(self._count, KEPT - 1))
                track.add(*(_sample(gpu) if fresh else (UNKNOWN, UNKNOWN)))
        for uuid in self._tracks.keys() - seen:
            self._tracks[uuid].add(UNKNOWN, UNKNOWN)
        self._count += 1

    def of(self, uuid: str) -> Track:
        """The samples of a device; none if it was never seen."""
        return self._tracks.get(uuid) or Track(0)


def _sample(gpu: GpuDoc) -> tuple[int, int]:
    busy, full = gpu["utilization"], gpu_fraction(gpu)
    return (
        UNKNOWN if busy is None else max(0, min(100, busy)),
        UNKNOWN if full is None else max(0, min(100, round(full * 100))),
    )


_FILL = " ▁▂▃▄▅▆▇█"


def chart(samples: Sequence[int], width: int, height: int) -> list[str]:
    """Lines of a chart of the newest samples, 0 to 100 percent, the newest at the right.

    Several samples share a column where there are more than columns: the highest shows. What isn't
    known is blank.
    """
    per = max(1, -(-len(samples) // max(1, width)))
    tail = samples[max(0, len(samples) - per * width) :]
    found = [_top(tail[at : at + per]) for at in range(0, len(tail), per)]
    columns = [*([None] * (width - len(found))), *found]
    lines = []
    for level in range(height - 1, -1, -1):
        line = ""
        for value in columns:
            eighths = 0 if value is None else round(value / 100 * height * 8) - level * 8
            if value is not None and value > 0 and level == 0:
                eighths = max(1, eighths)
            line += _FILL[max(0, min(8, eighths))]
        lines.append(line)
    return lines


def _top(samples: Sequence[int]) -> int | None:
    known = [it for it in samples if it != UNKNOWN]
    return max(known) if known else None
