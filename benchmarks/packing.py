"""How full 1,213 nodes get: the packing experiment of FGD, over ten seeds, and how fast
in processor time.

    python benchmarks/packing.py FOLDER [WORKLOAD...]

FOLDER has the node list `openb_node_list_gpu_node.csv` and lists of tasks
`openb_pod_list_WORKLOAD.csv`; with `published_results.csv` in it, the peers stand beside.
"""

from __future__ import annotations

import argparse
import csv
import gc
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from common import table

from flextui.core.simulate.boxes import read_boxes
from flextui.core.simulate.figures import packing_figures
from flextui.core.simulate.formats import read_trace
from flextui.core.simulate.packing import pack

SEEDS = range(42, 52)
NODES = "openb_node_list_gpu_node.csv"
PODS = "openb_pod_list_"
PUBLISHED = "published_results.csv"
PEERS = ("BestFit", "FGD")


def one(folder: Path, workload: str, seed: int) -> dict[str, Any]:
    """One experiment, with the collector set as `flextui simulate` sets it."""
    trace = read_trace(folder / f"{PODS}{workload}.csv", "openb")
    boxes = read_boxes(str(folder / NODES))
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)
    return packing_figures(pack(trace, boxes, seed, {}), seed)


def published(folder: Path) -> dict[str, dict[str, str]]:
    """Allocation per cent by workload and policy, mean and deviation as text."""
    path = folder / PUBLISHED
    if not path.exists():
        return {}
    found: dict[str, dict[str, str]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            told = f"{row['allocated_percent_mean']} ± {row['allocated_percent_sd']}"
            found.setdefault(row["workload"], {})[row["policy"]] = told
    return found


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("workloads", nargs="*")
    parser.add_argument("--seeds", type=int, nargs="*", default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=1, help="more disturb the speed")
    asked = parser.parse_args()
    names = sorted(path.stem.removeprefix(PODS) for path in asked.folder.glob(f"{PODS}*.csv"))
    peers = published(asked.folder)
    rows = [("workload", "allocated %", "unallocated GPUs", "decisions/s", *PEERS)]
    with ProcessPoolExecutor(asked.processes) as pool:
        for workload in asked.workloads or names:
            count = len(asked.seeds)
            runs = list(pool.map(one, [asked.folder] * count, [workload] * count, asked.seeds))
            rows.append(
                (
                    workload,
                    spread([it["allocated_percent"] for it in runs], 2),
                    spread([it["unallocated_gpus"] for it in runs], 1),
                    spread([it["decisions"] / it["processor_seconds"] for it in runs], 0),
                    *(peers.get(workload, {}).get(policy, "") for policy in PEERS),
                )
            )
    told = ", ".join(map(str, asked.seeds))
    table(f"GPU allocation at 130 % arrivals, mean ± deviation over seeds {told}", *rows)


if __name__ == "__main__":
    main()
