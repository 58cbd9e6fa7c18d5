"""Makes the guide's picture of `flextui simulate` from the real program and a trace made up here.

python docs/pictures/simulate.py [--out docs/pictures/simulate.svg]
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPO = Path(__file__).resolve().parents[2]
DAY_S = 86_400
LINE = "flextui simulate march.csv --nodes 4x8 --policy fair-share"


def trace() -> str:
    """A month of a lab: two groups, busy days, quiet nights, a deadline at its end."""
    rng = random.Random(7)
    rows = []
    for day in range(28):
        rush = 1.0 if day < 20 else 2.2
        for _ in range(round(18 * rush) if day % 7 < 5 else 5):
            at = day * DAY_S + int(rng.gauss(14, 3) * 3600)
            group, gpus = rng.choice((("vision", (1, 2, 8)), ("speech", (1, 1, 4))))
            hours = min(60.0, rng.lognormvariate(1.2, 1.1))
            clock = f"2026-03-{1 + max(0, at) // DAY_S:02} {max(0, at) % DAY_S // 3600:02}:00:00"
            rows.append(f"{clock},{hours * 3600:.0f},{rng.choice(gpus)},{group}")
    return "timestamp,duration,num_gpus,cluster\n" + "\n".join(rows) + "\n"


def printed(folder: Path) -> str:
    """What the command prints."""
    (folder / "march.csv").write_text(trace())
    command = [sys.executable, "-m", *LINE.split()]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("simulate.svg"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fx-") as name:
        text = printed(Path(name))
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {LINE}", style="bold"))
    console.print(Text(text))
    svg = console.export_svg(title="flextui simulate")
    asked.out.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
