"""What nodes, devices and attempts used of late, so that a chart has a past when it is opened.

Telemetry is never stored: it lies in the core's memory, and a core that starts has none. A node
and its devices have an hour in steps of 5 s, 8 and 5 bytes a step: 720 steps of 200 nodes with
1,600 devices are 8 MB. An attempt has all its life in at most 240 steps, which double in length
when they are full: 2.6 kB for each that lives, and for the last `ENDED` that don't.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

from flextui.core.model.docs import HistoryDoc, JobDoc, PastDoc, TrackDoc
from flextui.core.model.state import Attempt, Gpu, Node, NodeStatus, Sample, Snapshot
from flextui.core.model.times import iso

EVERY_S = 5
KEPT = 720
STEPS = 240
ENDED = 1000
TOLD = 64
"""Attempts of a job that are told of."""
_MIB = 2**20

_SCALES = {
    "cpu": ("B", 1.0), "memory": ("B", 1.0), "disk": ("B", 1.0), "load": ("H", 0.01),
    "busy": ("B", 1.0), "temperature": ("B", 1.0), "power": ("H", 1.0),
}  # fmt: skip
_ATTEMPT_SCALES = {
    "cpu": ("H", 0.01), "memory": ("I", float(_MIB)), "busy": ("B", 1.0),
    "gpu_memory": ("I", float(_MIB)),
}  # fmt: skip
_NONE = {"B": 2**8 - 1, "H": 2**16 - 1, "I": 2**32 - 1}


class Series:
    """Numbers in few bytes each: whole multiples of a scale, or unknown."""

    __slots__ = ("_items", "_none", "_scale")

    def __init__(self, code: str, scale: float) -> None:
        self._none = _NONE[code]
        self._scale = scale
        self._items = array(code)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: float | None) -> None:
        """A value; what is too large for its bytes is the largest that fits."""
        if value is None or value != value:
            self._items.append(self._none)
        else:
            self._items.append(max(0, min(self._none - 1, round(value / self._scale))))

    def skip(self, count: int) -> None:
        """So many values that nobody told."""
        self._items.extend([self._none] * count)

    def trim(self, length: int) -> None:
        """Keep so many, the newest."""
        if len(self._items) > length:
            del self._items[: len(self._items) - length]

    def halve(self) -> None:
        """Each two become their mean."""
        items, none = self._items, self._none
        pairs = zip(items[::2], items[1::2], strict=False)
        self._items = array(
            items.typecode,
            (a if b == none else b if a == none else (a + b) // 2 for a, b in pairs),
        )

    def last(self, count: int) -> list[float | None]:
        """The newest so many."""
        scale, none = self._scale, self._none
        items = self._items[len(self._items) - count :] if count else ()
        return [None if it == none else round(it * scale, 2) for it in items]


def _new(scales: Mapping[str, tuple[str, float]], names: Iterable[str]) -> dict[str, Series]:
    return {name: Series(*scales[name]) for name in names}


class _NodePast:
    """The last hour of a node and of the devices that it has now."""

    def __init__(self, slot: int) -> None:
        self.slot = slot - 1
        """When the last values were taken, in steps since the epoch."""
        self.length = 0
        self.own = _new(_SCALES, ("cpu", "memory", "disk", "load"))
        self.gpus: dict[str, dict[str, Series]] = {}

    def take(self, slot: int, node: Node) -> None:
        missed = min(KEPT, slot - self.slot - 1)
        self.slot = slot
        for series in self._all():
            series.skip(missed)
        self.length += missed
        fresh = _fresh(node)
        _add(self.own, _node_values(node.sample) if fresh else {})
        known = {gpu.uuid: gpu for gpu in node.gpus}
        for uuid in known.keys() - self.gpus.keys():
            self.gpus[uuid] = _new(_SCALES, ("busy", "memory", "temperature", "power"))
            for series in self.gpus[uuid].values():
                series.skip(self.length)
        for uuid in list(self.gpus):
            gpu = known.get(uuid)
            if gpu is None and fresh:
                del self.gpus[uuid]
            else:
                _add(self.gpus[uuid], _gpu_values(gpu) if gpu and fresh else {})
        self.length = min(KEPT, self.length + 1)
        for series in self._all():
            series.trim(KEPT)

    def _all(self) -> list[Series]:
        return [*self.own.values(), *(it for of in self.gpus.values() for it in of.values())]

    def doc(self, after: int) -> PastDoc:
        count = max(0, min(self.length, self.slot - after))
        return {
            "every_s": EVERY_S,
            "until": self.slot,
            "node": {name: it.last(count) for name, it in self.own.items()},
            "gpus": {
                uuid: {name: it.last(count) for name, it in of.items()}
                for uuid, of in self.gpus.items()
            },
        }


class _Track:
    """The life of an attempt, in steps that grow with it."""

    def __init__(self, attempt: Attempt, wall: float) -> None:
        self.node = attempt.node
        self.since = wall
        self.every_s = float(EVERY_S)
        self.series = _new(_ATTEMPT_SCALES, _ATTEMPT_SCALES)

    def take(self, wall: float, values: Mapping[str, float | None]) -> None:
        length = len(self.series["cpu"])
        due = int((wall - self.since) / self.every_s)
        while due >= STEPS:
            for series in self.series.values():
                series.halve()
            self.every_s *= 2
            length, due = length // 2, int((wall - self.since) / self.every_s)
        if due >= length:
            for series in self.series.values():
                series.skip(due - length)
            _add(self.series, values)

    def doc(self, attempt: str) -> TrackDoc:
        count = len(self.series["cpu"])
        return {
            "attempt": attempt,
            "node": self.node,
            "since": iso(self.since),
            "every_s": self.every_s,
            "series": {name: it.last(count) for name, it in self.series.items()},
        }


class Past:
    """Fed by the engine after each turn; asked by the desk."""

    def __init__(self) -> None:
        self._nodes: dict[str, _NodePast] = {}
        self._tracks: dict[str, _Track] = {}

    def take(self, wall: float, snapshot: Snapshot, touched: Iterable[str]) -> None:
        """Look at the nodes of which something was told, each once in `EVERY_S` at most."""
        slot = int(wall // EVERY_S)
        for name in touched:
            node = snapshot.nodes.get(name)
            if node is None:
                self._nodes.pop(name, None)
                continue
            past = self._nodes.get(name)
            if past is None or past.slot - slot > 1:  # the clock was put back
                past = self._nodes[name] = _NodePast(slot)
            if slot > past.slot:
                past.take(slot, node)
                if _fresh(node):
                    self._take_attempts(wall, snapshot, node)

    def _take_attempts(self, wall: float, snapshot: Snapshot, node: Node) -> None:
        gpus = {gpu.uuid: gpu for gpu in node.gpus}
        for key in snapshot.by_node.get(node.name, ()):
            attempt = snapshot.attempts[key]
            track = self._tracks.get(key)
            if track is None:
                if attempt.started_at is None:
                    continue
                self._forget(snapshot)
                track = self._tracks[key] = _Track(attempt, wall)
            track.take(wall, _attempt_values(attempt, node, gpus))

    def _forget(self, snapshot: Snapshot) -> None:
        """Keep the tracks of what lives, and of the last that ended."""
        if len(self._tracks) < 2 * ENDED:
            return
        live = {key for keys in snapshot.by_node.values() for key in keys}
        ended = [key for key in self._tracks if key not in live]
        for key in ended[:-ENDED]:
            del self._tracks[key]

    def of_node(self, name: str, after: int = 0) -> HistoryDoc:
        """The last hour of a node, or what came after an earlier answer."""
        past = self._nodes.get(name)
        empty: PastDoc = {"every_s": EVERY_S, "until": after, "node": {}, "gpus": {}}
        return {"past": past.doc(after) if past is not None else empty}

    def of_job(self, job: JobDoc) -> HistoryDoc:
        """The lives of a job's attempts, the newest first."""
        ids = [it["id"] for task in job["tasks"] for it in reversed(task["attempts"])]
        known = [key for key in ids if key in self._tracks]
        known.sort(key=lambda key: self._tracks[key].since, reverse=True)
        return {"tracks": [self._tracks[key].doc(key) for key in known[:TOLD]]}


def _fresh(node: Node) -> bool:
    """Whether what the node told last still holds."""
    return node.sampled and node.status in (NodeStatus.READY, NodeStatus.OBSERVED)


def _add(series: Mapping[str, Series], values: Mapping[str, float | None]) -> None:
    for name, it in series.items():
        it.add(values.get(name))


def _percent(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else min(100.0, 100.0 * part / whole)


def _node_values(sample: Sample) -> dict[str, float | None]:
    used = sample.disk_bytes - sample.disk_free_bytes
    return {
        "cpu": _percent(sample.cpu, 1.0),
        "memory": _percent(sample.memory_used_bytes, sample.memory_bytes),
        "disk": _percent(used, sample.disk_bytes),
        "load": sample.load[0] if sample.load else None,
    }


def _gpu_values(gpu: Gpu) -> dict[str, float | None]:
    return {
        "busy": gpu.utilization,
        "memory": _percent(gpu.memory_used_bytes, gpu.memory_bytes),
        "temperature": gpu.temperature_c,
        "power": gpu.power_w,
    }


def _attempt_values(
    attempt: Attempt, node: Node, gpus: Mapping[str, Gpu]
) -> dict[str, float | None]:
    use = node.sample.attempts.get(attempt.id)
    mine = [gpus[uuid] for uuid in attempt.gpus if uuid in gpus]
    processes = [it for gpu in mine for it in gpu.processes if it.attempt == attempt.id]
    return {
        "cpu": use.cpu if use else None,
        "memory": use.memory_bytes if use else None,
        "busy": _mean([gpu.utilization for gpu in mine]),
        "gpu_memory": sum(it.memory_bytes or 0 for it in processes) if mine else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [it for it in values if it is not None]
    return sum(known) / len(known) if known else None
