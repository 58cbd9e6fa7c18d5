"""What terminal programs send while nobody types, and what that costs: kB/s and processor time.

Ours over this machine alone, over a fleet of 200 nodes of which 40 tell new numbers each second,
and over one that changes wherever it can (`busy_core.py`). Beside it whichever of nvitop, htop,
btop and turm is there, as they are by themselves; nvitop sees eight GPUs of the tests' stand-in
for NVML, whose numbers stand still, turm a Slurm of one node with one job.

    python benchmarks/idle.py [--size 120x40] [--seconds 20] [--turm PROGRAM]
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack

from common import table, workplace
from screens import core, terminal, watched
from starts import ours, peers, turm
from typist import Typist, size_of

SETTLE_S = 8.0


def measure(typist: Typist, seconds: float) -> tuple[str, ...]:
    """kB/s, share of a processor, MB."""
    with typist:
        assert typist.drain(SETTLE_S) > 0, "it shows nothing"
        share, sent, memory = watched(typist, seconds)
    return sent, share, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turm", default="", metavar="PROGRAM")
    options = parser.parse_args()
    size = size_of(options.size)
    rows: list[tuple[str, ...]] = []
    with workplace() as place, ExitStack() as stack:
        stack.enter_context(core(place / "calm", "--calm"))
        stack.enter_context(core(place / "busy"))
        for name, path in (("40 nodes change a second", "calm"), ("busy", "busy")):
            typist = terminal(place, place / path, size)
            figures = measure(typist, options.seconds)
            rows.append((f"flextui, 200 nodes, {name}", *figures))
        (place / "ours").mkdir()
        programs = stack.enter_context(ours(place / "ours"))[:1]
        programs += peers(place)
        programs += stack.enter_context(turm(place, options.turm))
        for it in programs:
            typist = Typist(it.argv, {**os.environ, **it.env}, size)
            figures = measure(typist, options.seconds)
            rows.append((it.name.replace("a core runs", "this machine alone"), *figures))
    head = (f"{options.size}, load {os.getloadavg()[0]:.1f}", "kB/s sent", "processor", "MB")
    table(f"nobody types, {options.seconds:.0f} s each", head, *rows)


if __name__ == "__main__":
    main()
