"""The virtual fleet: how many nodes of what kind, and how the core gets to see them.

A node joins as a real one does, by its hello and a first sample, so that nothing downstream knows
the difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flextui.core.events import NodeEvent, NodeReady, Sampled
from flextui.core.model.boxes import NODE_NAME
from flextui.core.model.inventory import Inventory, read_inventory
from flextui.core.model.problems import BadInput, Problem
from flextui.core.model.state import Facts, Gpu, Sample
from flextui.core.simulate.rows import BadCell, Row, read_rows, text_lines
from flextui.core.simulate.trace import Box, BoxGpu

_GIB = 2**30
_GRID = re.compile(r"([0-9]{1,6})x([0-9]{1,3})(?::([A-Za-z0-9_. -]{1,40}))?")
_GRID_CPUS_PER_GPU = 16.0
_GRID_MEMORY_PER_GPU = 128 * _GIB
_GRID_GPU_MEMORY = 80 * _GIB
_MEMORY = {"p100": 16, "t4": 16, "a10": 24, "v100m16": 16, "v100m32": 32}
"""GiB of the models that traces name; others count as 32."""
_NODES = ("cpu_milli", "memory_mib", "gpu")


def read_boxes(text: str) -> tuple[Box, ...]:
    """The nodes that `--nodes` means. Raises `BadInput`.

    8x8 (8 nodes of 8 GPUs) or 8x8:a100; a CSV of nodes; an inventory that gives its GPUs.
    """
    grid = _GRID.fullmatch(text)
    if grid:
        return _grid(text, int(grid[1]), int(grid[2]), grid[3] or "GPU")
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return boxes_of(read_inventory(Path(text).read_bytes(), text), text)
    boxes = read_rows(text, text_lines(text), _NODES, _box)
    names: set[str] = set()
    for at, box in enumerate(boxes):
        if box.name in names:
            what = f"the name {box.name} is used twice"
            raise BadInput([Problem(text, at + 2, 1, what, "each node once")])
        names.add(box.name)
    return tuple(boxes)


def _grid(text: str, nodes: int, gpus: int, model: str) -> tuple[Box, ...]:
    if not 1 <= nodes <= 100_000 or gpus > 128:
        raise BadInput([Problem(text, 1, 1, "no such fleet", "1x1 to 100000x128")])
    digits = len(str(nodes - 1))
    each = max(1, gpus)
    return tuple(
        Box(
            f"n{index:0{digits}}",
            _GRID_CPUS_PER_GPU * each,
            _GRID_MEMORY_PER_GPU * each,
            (BoxGpu(model, _GRID_GPU_MEMORY),) * gpus,
        )
        for index in range(nodes)
    )


def _box(row: Row) -> Box:
    name = row.word("sn" if "sn" in row.places else "name").lower()
    if not re.fullmatch(NODE_NAME, name):
        raise BadCell("sn", "not the name of a node", "1 to 63 of a-z, 0-9, '.' and '-'")
    gpus = row.whole("gpu", most=128)
    model = row.text("model")
    memory = _MEMORY.get(model.lower(), 32) * _GIB
    return Box(
        name,
        row.whole("cpu_milli") / 1000,
        row.whole("memory_mib") * 2**20,
        (BoxGpu(model or "GPU", memory),) * gpus,
    )


def boxes_of(inventory: Inventory, name: str) -> tuple[Box, ...]:
    """The nodes of an inventory that gives their GPUs itself. Raises `BadInput`."""
    boxes = declared_boxes(inventory)
    known = {box.name for box in boxes}
    for node in inventory.nodes:
        if node.name not in known:
            what = f"{node.name}: its GPUs are known only to the node itself"
            mend = "a list of GPUs there, or the history of a core that has seen the node"
            raise BadInput([Problem(name, 1, 1, what, mend)])
    return boxes


def declared_boxes(inventory: Inventory) -> tuple[Box, ...]:
    """The nodes of an inventory whose GPUs it gives itself; their CPUs and memory are plenty."""
    boxes = []
    for node in inventory.nodes:
        if node.gpus.declared is None:
            continue
        gpus = tuple(BoxGpu(it.model, it.memory) for it in node.gpus.declared)
        each = max(1, len(gpus))
        cpus, memory = _GRID_CPUS_PER_GPU * each, _GRID_MEMORY_PER_GPU * each
        share = any(node.gpus.shares(it.index) for it in node.gpus.declared)
        boxes.append(Box(node.name, cpus, memory, gpus, dict(node.labels), share))
    return tuple(boxes)


# ── as the core sees them ──────────────────────────────────────────────────────────────────────


def virtual_inventory(boxes: Sequence[Box], settings: Mapping[str, Any]) -> Inventory:
    """The inventory of a virtual fleet; `settings` are its other fields, as in a file.

    Raises `ValueError` for settings that an inventory wouldn't have.
    """
    nodes = [
        {
            "name": box.name,
            "host": box.name,
            "labels": dict(box.labels),
            "gpus": {"share": box.share},
        }
        for box in boxes
    ]
    return Inventory.model_validate({"fleet": "simulated", **settings, "nodes": nodes})


def hello(box: Box) -> Iterator[NodeEvent]:
    """What a node tells when it joins."""
    facts = Facts(
        host_id=box.name,
        boot="virtual",
        root_path="/",
        root_id=box.name,
        hostname=box.name,
        user="virtual",
        uid=1,
        cpus=box.cpus,
        memory_bytes=box.memory_bytes,
    )
    gpus = tuple(
        Gpu(f"{box.name}/{index}", index, gpu.model, gpu.memory_bytes, 0)
        for index, gpu in enumerate(box.gpus)
    )
    yield NodeReady(box.name, facts, (), granted=True)
    yield Sampled(box.name, Sample(memory_bytes=box.memory_bytes, nvml="ok"), gpus)
