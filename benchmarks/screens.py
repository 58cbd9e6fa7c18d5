"""How soon each screen answers a key over a fleet that always changes, and what it sends.

200 nodes, 1,600 GPUs and 10,000 jobs, of which a quarter of the nodes and 100 jobs change four
times a second (`busy_core.py`). The program runs as it is, in a pseudo-terminal, attached to that
core's socket. A key is answered when the screen shows what it asks for: the cursor elsewhere, the
text moved, the letter typed and what it finds. Bytes are those that come out of the
pseudo-terminal. How soon the terminal is there is measured by starts.py.

    python benchmarks/screens.py [--size 120x40] [--keys 100] [--only Jobs]
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from busy_core import GPUS, JOBS, NODES, READ, WIDE
from common import environment, percentile, table, workplace
from typist import Screen, Typist, size_of

CURSOR = "12;48;76"
"""The ground under the cursor in the usual dark theme."""
NARROW = 30
"""Cells of a line under the cursor that tell it from all others, and don't change by themselves."""
WATCHED_S = 6.0
CALM_S = 30.0
Times = list[float]
Method = Callable[[Typist, int, random.Random], Times]


# ── how a key is answered ──────────────────────────────────────────────────────────────────────


def under(screen: Screen) -> str:
    """What the cursor is on: the beginning of its text; empty while it is out of sight."""
    for letters, grounds in zip(screen.letters, screen.grounds, strict=True):
        if CURSOR in grounds:
            first = grounds.index(CURSOR)
            marked = [it for it, on in zip(letters, grounds, strict=True) if on == CURSOR]
            return f"{first if len(marked) < NARROW else ''} {''.join(marked[:NARROW])}"
    return ""


def pause(typist: Typist, seed: random.Random) -> None:
    typist.drain(seed.uniform(0.02, 0.12))


def steps(typist: Typist, keys: int, seed: random.Random) -> Times:
    """`j` until the list begins to scroll, then `k`: the cursor is on something else."""
    times = []
    for number in range(keys):
        before = under(typist.screen)
        typist.press("j" if number % 12 < 6 else "k")
        times.append(typist.wait(lambda screen, was=before: under(screen) not in (was, "")))  # type: ignore[misc]
        pause(typist, seed)
    return times


def scrolls(typist: Typist, keys: int, seed: random.Random) -> Times:
    """`j` ten times, then `k` ten times, on a page: the beginnings of its lines have moved."""
    times, row, half = [], typist.screen.lines // 2, typist.screen.columns // 2
    for number in range(keys):
        by = 1 if number % 20 < 10 else -1
        wanted = typist.screen.line(row + by)[:half]
        assert wanted != typist.screen.line(row)[:half], "lines that can't be told apart"
        typist.press("j" if by > 0 else "k")
        times.append(typist.wait(lambda screen, want=wanted: screen.line(row)[:half] == want))  # type: ignore[misc]
        pause(typist, seed)
    return times


def turns(typist: Typist, keys: int, seed: random.Random) -> Times:
    """The same on a page under which nothing changes by itself: anything is different."""
    times = []
    for number in range(keys):
        before = typist.screen.text()
        typist.press("j" if number % 20 < 10 else "k")
        times.append(typist.wait(lambda screen, was=before: screen.text() != was))  # type: ignore[misc]
        pause(typist, seed)
    return times


def finds(typist: Typist, keys: int, seed: random.Random) -> Times:
    """Digits and backspaces in an input: how many names or rows fit has another number."""
    times, word = [], "1234"
    counted = re.compile(r"[\d,]+ of [\d,]+")

    def count(screen: Screen) -> str:
        found = counted.findall("\n".join(screen.line(y) for y in range(screen.lines)))
        return str(found)

    for number in range(keys):
        before = count(typist.screen)
        at = number % (2 * len(word))
        typist.press(word[at] if at < len(word) else "\x7f")
        times.append(typist.wait(lambda screen, was=before: count(screen) != was))  # type: ignore[misc]
        pause(typist, seed)
    return times


def writes(typist: Typist, keys: int, seed: random.Random) -> Times:
    """Letters in a text, now and then with time enough for it to be checked."""
    times = []
    for number in range(keys):
        text = typist.screen.text().count("~")
        typist.press("~")
        times.append(typist.wait(lambda screen, was=text: screen.text().count("~") == was + 1))  # type: ignore[misc]
        typist.drain(seed.uniform(0.02, 0.3))
        if number % 20 == 19:
            typist.press("\x7f" * 20)
            typist.drain(1.0)
    return times


# ── the screens ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Case:
    """A screen, the keys that lead there, what shows once one is there."""

    name: str
    keys: Sequence[str]
    shows: str
    method: Method = steps


CASES = (
    Case("Fleet", ("1",), "gpu000"),
    Case("Fleet, map", ("z",), "gpu199"),
    Case("Node", ("1", "\r"), "A100"),
    Case("GPUs", ("4",), "A100"),
    Case("GPUs, grouped by node", ("4", "t", "g"), "8 GPUs"),
    Case("Jobs", ("2",), "train-"),
    Case("Jobs by id", ("2", "oi", "g"), "train-"),
    Case("Jobs, by state", ("2", "os", "g"), "train-"),
    Case("Jobs, grouped by user", ("2", "tt", "g", "j"), "train-"),
    Case("Jobs, filtered", ("2", "/", "train-.*1", "\r"), "train-"),
    Case("Job, attempts of 1,000 tasks", (f":job {WIDE}\r",), "gpu000"),
    Case("Job, timeline of 1,000 tasks", (f":timeline {WIDE}\r",), "gpu0", scrolls),
    Case("Placement", ("7",), "train-"),
    Case("Queue", ("8",), "train-"),
    Case("Queue, with the reason", ("8", "w"), "train-"),
    Case("Logs", (f":logs {READ}\r", "k" * 20), "0049"),
    Case("Events", ("3",), "attempt.started"),
    Case("Problems", ("6",), "XID"),
    Case("Editor, 1,000 lines", (f":edit {READ}\r", "\x1b[6~" * 3), "VALUE_", writes),
    Case("Help", ("2", "?"), "In lists", turns),
    Case("Command log", ("2", "3", "4", "6", "7", "8", "1", "2", "3", "4", "5"), "flextui jobs"),
    Case("`:`, 10,000 jobs to go to", (":", "job "), "of 10,000", finds),
    Case("`/` over 10,000 jobs", ("2", "/"), "train-", finds),
)


@contextmanager
def core(path: Path, *words: str) -> Iterator[None]:
    """The busy core at a socket."""
    argv = [sys.executable, str(Path(__file__).with_name("busy_core.py")), str(path), *words]
    process = subprocess.Popen(argv)
    try:
        while not path.exists():
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait()


def terminal(place: Path, path: Path, size: tuple[int, int]) -> Typist:
    """The real program, attached to the socket."""
    argv = [sys.executable, "-m", "flextui", "--socket", str(path)]
    return Typist(argv, environment(place / "home"), size)


def watched(typist: Typist, seconds: float) -> tuple[str, str, str]:
    """Its share of a processor, kB/s sent and MB, while nobody types."""
    used, begin = typist.cpu(), time.monotonic()
    sent = typist.drain(seconds)
    passed = time.monotonic() - begin
    share = (typist.cpu() - used) / passed
    return f"{share:.1%}", f"{sent / passed / 1e3:.1f}", f"{typist.memory():.0f}"


def measure(case: Case, typist: Typist, keys: int) -> tuple[str, ...]:
    """One row of the table."""
    typist.until("gpu000")
    typist.until("running ·")
    typist.drain(2.0)
    for chord in case.keys[:-1]:
        typist.press(chord)
        typist.drain(1.0)
    typist.press(case.keys[-1])
    typist.until(case.shows)
    typist.drain(2.0)
    times = case.method(typist, keys, random.Random(1))
    shown = [f"{percentile(times, part) * 1e3:.0f}" for part in (0.5, 0.99)]
    return case.name, *shown, f"{max(times) * 1e3:.0f}", *watched(typist, WATCHED_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="120x40")
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--only", default="", help="the screens whose names begin so")
    options = parser.parse_args()
    size = size_of(options.size)
    rows: list[tuple[str, ...]] = []
    with workplace() as place:
        with core(place / "busy"):
            for case in CASES:
                if case.name.startswith(options.only):
                    with terminal(place, place / "busy", size) as typist:
                        rows.append(measure(case, typist, options.keys))
                    print("  ".join(rows[-1]), file=sys.stderr)
        if "Fleet, calm".startswith(options.only):
            with (
                core(place / "calm", "--calm"),
                terminal(place, place / "calm", size) as typist,
            ):
                typist.until("gpu000")
                typist.drain(5.0)
                rows.append(("Fleet, 40 samples a second", "", "", "", *watched(typist, CALM_S)))
    head = ("screen", "key to paint p50 ms", "p99 ms", "longest", "CPU", "kB/s sent", "MB")
    title = f"{NODES} nodes, {NODES * GPUS} GPUs, {JOBS} jobs, {options.keys} keys; {options.size}"
    table(f"{title}, load {os.getloadavg()[0]:.1f}", head, *rows)


if __name__ == "__main__":
    main()
