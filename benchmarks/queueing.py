"""Completion times of the Muri traces on 8 nodes of 8 GPUs, under each policy, beside the peers.

    python benchmarks/queueing.py FOLDER

FOLDER has `trace1.csv` and `trace2.csv`. Nothing here is random: the same trace gives the same
figures each time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from common import table
from peers import replay_peer

from flextui.core.simulate.boxes import read_boxes
from flextui.core.simulate.figures import percentile, replay_figures
from flextui.core.simulate.formats import read_trace
from flextui.core.simulate.record import Recorder
from flextui.core.simulate.replay import Options, Replay
from flextui.core.simulate.trace import Trace

COST_S = 60.0
OURS = (
    ("fifo, easy, durations known, no preemption", "fifo", True, False),
    ("fair-share, durations unknown, no preemption", "fair-share", False, False),
    ("shortest, durations known, no preemption", "shortest", True, False),
    ("shortest, durations unknown, no preemption", "shortest", False, False),
    ("shortest, durations known, preemption 60 s", "shortest", True, True),
    ("shortest, durations unknown, preemption 60 s", "shortest", False, True),
)
PUBLISHED = {
    "trace1": (
        ("SRTF (Muri's simulator)", 1_370_603),
        ("SRSF", 980_141),
        ("Tiresias-L", 3_330_371),
        ("Themis", 1_823_179),
    ),
    "trace2": (
        ("SRTF (Muri's simulator)", 2_665_607),
        ("SRSF", 2_213_950),
        ("Tiresias-L", 7_396_369),
        ("Themis", 4_628_172),
    ),
}
HEADS = ("", "average JCT s", "p99 JCT s", "makespan s", "longest wait s", "preemptions", "took s")


def ours(trace: Trace, queue: str, *, known: bool, preemption: bool) -> dict[str, Any]:
    """A replay's figures."""
    options = Options({"queue": queue, "preemption": preemption}, known, COST_S)
    return replay_figures(Replay(trace, read_boxes("8x8"), options).run())


def row(name: str, told: dict[str, Any]) -> tuple[str, ...]:
    spans = ("average_jct_s", "p99_jct_s", "makespan_s", "longest_wait_s")
    return (
        name,
        *(f"{told[key]:,.0f}" for key in spans),
        f"{told['preemptions']:,}",
        f"{told['seconds']:.1f}",
    )


def peer_row(name: str, record: Recorder) -> tuple[str, ...]:
    jcts = sorted(run.jct_s for run in record.runs if run.jct_s is not None)
    ends = [run.ended for run in record.runs if run.ended is not None]
    first = min(run.job.at for run in record.runs)
    waits = [run.waited_s for run in record.runs]
    average = sum(jcts) / len(jcts)
    spans = (average, percentile(jcts, 0.99), max(ends) - first, max(waits))
    return (name, *(f"{it:,.0f}" for it in spans), "0", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("traces", nargs="*", default=["trace1", "trace2"])
    asked = parser.parse_args()
    for name in asked.traces:
        trace = read_trace(asked.folder / f"{name}.csv", "muri")
        rows: list[tuple[str, ...]] = [HEADS]
        for label, queue, known, preemption in OURS:
            rows.append(row(label, ours(trace, queue, known=known, preemption=preemption)))
        for peer in ("fifo", "easy", "shortest"):
            rows.append(peer_row(f"peer: {peer}", replay_peer(trace, peer, 8, 8)))
        rows += [
            (f"published: {label}", f"{jct:,}", "", "", "", "", "")
            for label, jct in PUBLISHED.get(name, ())
        ]
        table(f"Muri {name}, {len(trace.jobs):,} jobs on 8 nodes of 8 GPUs", *rows)
        print()


if __name__ == "__main__":
    main()
